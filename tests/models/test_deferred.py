import subprocess
import sys

import pytest

from models import deferred
from tests.conftest import ROOT


@pytest.fixture
def parcel(tmp_path, monkeypatch):
    """A package with one module that records in `sys.opened` that its code ran; returns that list."""
    folder = tmp_path / "parcel"
    folder.mkdir()
    (folder / "__init__.py").write_text("import sys\nsys.opened.append('ran')\nfrom parcel.inner import content\n")
    (folder / "inner.py").write_text("content = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "opened", [], raising=False)
    yield sys.opened
    for name in ("parcel", "parcel.inner"):
        sys.modules.pop(name, None)


def test_a_module_of_a_deferred_package_is_imported_alone(parcel):
    deferred.defer("parcel", alone=True)

    from parcel.inner import content

    assert (content, parcel) == (7, [])


def test_a_module_of_a_package_deferred_as_a_whole_runs_the_packages_code_first(parcel):
    deferred.defer("parcel")

    import parcel as package

    assert parcel == []

    from parcel.inner import content

    assert (content, package.content, parcel) == (7, 7, ["ran"])


def test_an_import_of_a_packages_own_name_runs_its_code_once(parcel):
    deferred.defer("parcel")

    import parcel as package
    from parcel import content

    assert (content, package.content, parcel) == (7, 7, ["ran"])
    with pytest.raises(ImportError, match="cannot import name 'more'"):
        from parcel import more  # noqa: F401


# Loads the graph as a run does, prints the loaded modules, and then uses what was deferred.
PROGRAM = """
import sys
from models import deferred
deferred.defer_unused()
from pipeline.running import beam_runner, graph
import apache_beam
assert apache_beam.Create([1]) and not apache_beam.utils.interactive_utils.is_in_ipython()
print(*sys.modules)

from tfx.components import Tuner
import tfx
assert tfx.components.Tuner is Tuner
import tensorflow_data_validation as tfdv
assert tfdv.infer_schema and tfdv.visualize_statistics
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
assert tfma.run_model_analysis and tfma.metrics.F1Score and tfma.EvalConfig is config_pb2.EvalConfig
from keras.wrappers import SKLearnClassifier
from matplotlib.figure import Figure
import matplotlib.pyplot
matplotlib.use("agg")
assert type(matplotlib.pyplot.figure()) is Figure
from IPython.display import HTML
from google.cloud import bigquery
bigquery.Client
"""


@pytest.mark.slow
def test_the_graph_is_loaded_without_packages_unused_before_training_and_they_work_when_imported():
    unused = [
        "tensorflow_model_analysis.api", "tensorflow_model_analysis.metrics", "nltk", "tfx.components.tuner",
        "kubernetes", "keras_tuner", "IPython.core", "ipywidgets", "jedi", "prompt_toolkit",
        "tensorflow_data_validation.utils.display_util", "matplotlib.figure", "matplotlib.axes",
        "google.cloud.bigquery.client", "google.cloud.bigquery_storage_v1.client", "google.cloud.pubsub_v1",
        "googleapiclient.schema", "google.cloud.aiplatform", "google.cloud.dataflow_v1beta3", "sklearn",
        "pipeline.running.beam_workers",
    ]  # fmt: skip

    process = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True)

    assert process.returncode == 0, process.stderr
    loaded = process.stdout.split()
    assert {"tensorflow", "keras", "tfx.components.trainer.component"} <= set(loaded)
    assert [name for name in loaded if name.startswith(tuple(unused))] == []
