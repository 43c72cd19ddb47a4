import json
import os
import random
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


@pytest.fixture
def servable(tmp_path):
    """A version whose rules say which feature each input holds."""
    from models.serving.protocol.input_rules import FILE

    folder = tmp_path / "model"
    (folder / FILE).parent.mkdir(parents=True)
    signatures = {"serving_default": {"inputs": "*"}, "columns": {"arg_x": "x", "arg_kind": "kind"}}
    (folder / FILE).write_text(json.dumps({"features": {}, "signatures": signatures}))
    return SimpleNamespace(name="tiny", path=folder, version=7)


def _sampler(tmp_path, **settings):
    from models.serving.server.sampling import Sampler

    return Sampler({"tiny": {"rate": 1.0, "keep_days": 2, "folder": str(tmp_path / "samples"), **settings}})


def _lines(tmp_path) -> list[dict]:
    return [
        json.loads(line) for path in sorted((tmp_path / "samples").iterdir()) for line in path.read_text().splitlines()
    ]


def test_rows_are_stored_with_their_predictions_readable_by_the_owner_only(tmp_path, servable):
    from models.serving.server.sampling import request_id

    token = request_id.set("abc-1")
    arrays = {"arg_x": np.array([1.5, 2.5], np.float32), "arg_kind": np.array([b"caf\xc3\xa9", b"\xff"], object)}
    sampler = _sampler(tmp_path)
    sampler(servable, "columns", arrays, {"scores": np.array([[0.25, 0.75], [1, 0]], np.float32)})
    sampler.flush()
    request_id.reset(token)

    first, second = _lines(tmp_path)
    assert first["features"] == {"x": 1.5, "kind": "café"}
    assert second["features"]["kind"] == {"b64": "/w=="}
    assert (first["id"], first["row"], second["row"], first["version"]) == ("abc-1", 0, 1, 7)
    assert first["outputs"] == {"scores": [0.25, 0.75]}
    (file,) = (tmp_path / "samples").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_examples_are_stored_by_feature(tmp_path, servable):
    from tests.models.serving.models import example

    arrays = {"inputs": np.array([example(x=3.0).SerializeToString(), b"\xff"], object)}
    sampler = _sampler(tmp_path)
    sampler(servable, "serving_default", arrays, {})
    sampler.flush()

    assert [line["features"] for line in _lines(tmp_path)] == [{"x": 3.0}, {}]


def test_about_the_rate_of_requests_is_stored(tmp_path, servable):
    random.seed(0)
    sampler = _sampler(tmp_path, rate=0.2)
    for _ in range(1000):
        sampler(servable, "columns", {"arg_x": np.array([1.0], np.float32)}, {})
    sampler.flush()

    assert 160 < len(_lines(tmp_path)) < 240  # 200 expected, the standard error is 13


def test_nothing_is_stored_for_other_models_or_at_rate_zero(tmp_path, servable):
    for name, rate in (("tiny", 0.0), ("other", 1.0)):
        servable.name = name
        sampler = _sampler(tmp_path, rate=rate)
        sampler(servable, "columns", {"arg_x": np.array([1.0], np.float32)}, {})
        sampler.flush()

    assert not (tmp_path / "samples").exists()


def test_old_days_are_removed(tmp_path, servable):
    folder = tmp_path / "samples"
    folder.mkdir()
    days = [time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago * 86400)) for ago in (1, 2, 9)]
    for day in days:
        (folder / f"{day}.jsonl").write_text("{}\n")
    (folder / "notes.txt").touch()

    sampler = _sampler(tmp_path)
    sampler(servable, "columns", {"arg_x": np.array([1.0], np.float32)}, {})
    sampler.flush()

    left = {path.name for path in folder.iterdir()}
    assert f"{days[0]}.jsonl" in left
    assert not {f"{days[1]}.jsonl", f"{days[2]}.jsonl"} & left
    assert "notes.txt" in left


def test_a_failed_write_makes_no_request_fail(tmp_path, servable, caplog):
    (tmp_path / "samples").write_text("a file where a folder should be")
    sampler = _sampler(tmp_path)

    for _ in range(3):
        sampler(servable, "columns", {"arg_x": np.array([1.0], np.float32)}, {})
    sampler.flush()

    assert caplog.text.count("samples of requests are not written") == 1
    assert os.path.isfile(tmp_path / "samples")


def test_sequences_are_stored_with_all_steps_and_without_padding(tmp_path, servable):
    from models.serving.protocol.input_rules import FILE
    from tests.models.serving.models import example

    signatures = {"serving_default": {"inputs": "*"}, "columns": {"arg_x": "x"}}
    (servable.path / FILE).write_text(json.dumps({"features": {"x": {"width": 2}}, "signatures": signatures}))
    rows = np.array([[[1, 2], [3, 4]], [[5, 6], [np.nan, np.nan]]], np.float32)
    serialized = example(x=3.0).SerializeToString()
    sampler = _sampler(tmp_path)
    sampler(servable, "columns", {"arg_x": rows}, {})
    sampler(servable, "serving_default", {"inputs": np.array([serialized], object)}, {})
    sampler.flush()

    assert [line["features"]["x"] for line in _lines(tmp_path)] == [[1, 2, 3, 4], [5, 6], [3]]
