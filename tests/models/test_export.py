"""The SavedModel that is served."""

import collections

import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


def test_every_signature_is_traced_once_for_the_file_and_the_warm_up_requests(tmp_path, monkeypatch):
    from data.examples import read_rows
    from models.export import ServedModel, export
    from tests.models import tiny

    job = tiny.job(tmp_path)
    traces = collections.Counter()
    predict = ServedModel.predict

    def counted(served, features):
        traces["predict"] += 1
        return predict(served, features)

    monkeypatch.setattr(ServedModel, "predict", counted)
    model = job.task.build_model(job.config, job.spec)
    rows = read_rows(job.train_files, job.spec, 4)

    export(
        model,
        job.transform_folder,
        task=job.task,
        config=job.config,
        spec=job.spec,
        rows=rows,
        into=job.model_folder,
    )

    assert traces["predict"] == 2  # `serving_default` and `image_bytes`
