import json

import pytest

from models.serving.protocol.flags import Flags
from models.serving.server import options
from models.serving.server.options import StartError

SAMPLING = {"rate": 0.5, "folder": "/a", "keep_days": 7}


def _sampling(tmp_path, text: str):
    (tmp_path / "sampling").write_text(text)
    return options.sampling(Flags(sample_config_file=str(tmp_path / "sampling")))


def test_sampling_settings_are_read_from_the_file(tmp_path):
    assert _sampling(tmp_path, json.dumps({"m": SAMPLING})) == {"m": SAMPLING}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"m": 1},
        {"m": {"rate": 0.5}},
        {"m": SAMPLING | {"rate": "half"}},
        {"m": SAMPLING | {"folder": None}},
        {"m": SAMPLING | {"keep_days": 10**9}},
        {"m": SAMPLING | {"keep_days": 0}},
    ],
)
def test_an_invalid_sampling_file_stops_the_start_with_one_sentence(tmp_path, content):
    with pytest.raises(StartError, match="expected an object of models, each with a number rate"):
        _sampling(tmp_path, json.dumps(content))


@pytest.mark.parametrize("text", ["", "[" * 100_000, "\ufeff{}", "{"])
def test_a_sampling_file_that_is_no_json_stops_the_start_with_one_sentence(tmp_path, text):
    with pytest.raises(StartError, match="cannot be read"):
        _sampling(tmp_path, text)
