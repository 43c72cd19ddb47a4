"""The SavedModel that is served."""

import collections

import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


def test_every_signature_is_traced_once_for_the_file_and_the_warm_up_requests(tmp_path, monkeypatch):
    from data.examples import read_rows
    from models.export import ServedModel, export
    from tests.models.tiny import job

    made = job(tmp_path)
    traces = collections.Counter()
    predict = ServedModel.predict

    def counted(served, features):
        traces["predict"] += 1
        return predict(served, features)

    monkeypatch.setattr(ServedModel, "predict", counted)
    model = made.task.build_model(made.config, made.spec)
    rows = read_rows(made.train_files, made.spec, 4)

    export(
        model,
        made.transform_folder,
        task=made.task,
        config=made.config,
        spec=made.spec,
        rows=rows,
        into=made.model_folder,
    )

    assert traces["predict"] == 2  # `serving_default` and `image_bytes`
