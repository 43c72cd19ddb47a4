"""The manifest of a published version."""

import pytest

from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.live.reader import Reader

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX

RUN_FILE = "task: tabular_classification\ndata: {files: homes.csv, label: sold, delimiter: ';'}\n"


def test_predict_reads_tables_with_the_notation_inferred_for_the_training_data(tmp_path):
    from pipeline.running.wiring import Wiring, _manifest

    cells = [(f"{i},5", f"{i}.250,75", "n/a" if i % 7 == 0 else f"{i / 3:.3f}".replace(".", ",")) for i in range(1, 90)]
    lines = [f"{';'.join(row)};{'no' if i % 3 else 'yes'}" for i, row in enumerate(cells)]
    (tmp_path / "homes.csv").write_text("\n".join(["size;price;age;sold", *lines]))
    (tmp_path / "homes.yaml").write_text(RUN_FILE)
    (tmp_path / "new.csv").write_text("\n".join(["size;price;age", *(";".join(row) for row in cells)]))
    named = config.load(str(tmp_path / "homes.yaml"))

    manifest = _manifest(Wiring(named, PipelinePaths.of(tmp_path / "home", "homes"), "a run"))
    reader = Reader.of("homes", manifest["file_query"], manifest, {}, print)
    batches = list(reader.read([tmp_path / "new.csv"], []))

    assert (manifest["data"]["decimal"], manifest["data"]["thousands"]) == (",", ".")
    assert manifest["data"]["missing_values"] == ["", "n/a"]
    assert [(len(batch), batch.errors.null_count) for batch in batches] == [(89, 89)]
