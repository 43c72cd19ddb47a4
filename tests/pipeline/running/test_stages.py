"""What the table of stages says of each, against what its code does."""

import ast
import json
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from models import registry
from pipeline.core.fingerprint import PACKAGES, closure, distribution
from pipeline.core.stages import BY_ID, STAGES
from tests.conftest import ROOT

# They import by a name that is known only while they run; `Wiring.fingerprint` says which it is.
IMPORT_BY_NAME = {"data/catalog/__init__.py", "data/loading.py", "models/registry.py"}


def test_stages_stand_in_an_order_in_which_none_runs_after_a_later_one():
    ids = [stage.id for stage in STAGES]

    assert len(set(ids)) == len(ids)
    assert all(ids.index(other) < ids.index(stage.id) for stage in STAGES for other in stage.runs_after)


def test_the_documents_list_all_stages_in_order():
    table = (ROOT / "docs" / "gates.md").read_text().split("| stage |")[1].split("\n\n")[0].splitlines()[2:]
    listed = [name for line in table for name in line.split("|")[1].strip().split(", ")]

    assert listed == [*BY_ID, "report"]


def test_no_other_module_imports_by_a_name_that_is_put_together():
    found = set()
    folders = ("components", "models", "data", "pipeline/running")
    for path in (path for name in folders for path in (ROOT / name).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        names |= {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.name for node in nodes if isinstance(node, ast.alias)}
        found |= {str(path.relative_to(ROOT))} if names & {"import_module", "__import__"} else set()

    assert found == IMPORT_BY_NAME


def test_what_cannot_matter_to_a_model_does_not_train_it_again():
    by_name = {"models.registry": [registry.task_module("image_classification")]}
    modules = closure([BY_ID["train"].module], by_name=by_name, excluded=BY_ID["train"].excluded)

    assert "models.tasks.image_classification.task" in modules
    others = ("models.serving.server", "models.serving.rollout", "models.serving.client")
    evaluation = ("components.classical", "components.evaluator", "components.baseline")
    assert not [name for name in modules if name.startswith((*others, *evaluation)) or name.endswith(".reference")]


@pytest.mark.slow
def test_packages_are_named_as_they_are_installed():
    installed = packages_distributions()
    trees = [ast.parse(path.read_text()) for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}

    named = {name.partition(".")[0]: distribution(name) for name in imported}

    def is_right(module: str, name: str) -> bool:
        return canonicalize_name(name) in map(canonicalize_name, installed[module])

    known = {module: name for module, name in named.items() if name and module in installed}
    assert {module: name for module, name in known.items() if not is_right(module, name)} == {}
    assert {"tensorflow", "sklearn", "PIL"} <= named.keys()


@pytest.fixture(scope="module")
def nodes(digits_run) -> dict:
    """The components of `digits`, by stage."""
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.running import graph

    pipeline = graph.build(config.load("digits"), PipelinePaths.of(digits_run.home, "digits"), "a run")
    return {node.id: node for node in pipeline.components}


def _fingerprint(node) -> dict[str, str] | None:
    """Returns the fingerprint in a component's cache key; None where there is none."""
    properties = node.exec_properties
    if "custom_config" in properties:
        return json.loads(properties["custom_config"])["fingerprint"]
    return json.loads(properties["fingerprint"]) if "fingerprint" in properties else None


@pytest.mark.e2e
def test_a_stage_has_a_fingerprint_or_runs_every_time(nodes):
    assert set(nodes) == set(BY_ID)
    for stage in STAGES:
        properties = nodes[stage.id].exec_properties
        assert (_fingerprint(nodes[stage.id]) is not None) == stage.is_cached, stage.id
        assert ("run" in properties) == (not stage.is_cached), stage.id


@pytest.mark.e2e
@pytest.mark.parametrize(
    "setting",
    [
        "seed=9",
        "data.train_share=0.5",
        "data.checks.drift.policy=warn",
        "model.dropout=0.1",
        "train.epochs=3",
        "evaluate.challenge=not_worse",
        "evaluate.thresholds.accuracy.min=0.5",
        "baseline.require=tie",
        "serving.p95_ms=99",
        "serving.sample.rate=0.5",
        "publish.keep=7",
    ],
)
def test_a_stage_goes_by_the_settings_that_the_table_names(nodes, digits_run, setting):
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.running import graph

    pipeline = graph.build(config.load("digits", [setting]), PipelinePaths.of(digits_run.home, "digits"), "a run")

    changed = {node.id for node in pipeline.components if node.exec_properties != nodes[node.id].exec_properties}
    assert changed <= {stage.id for stage in STAGES if setting.startswith(stage.settings)}
    assert changed


@pytest.mark.e2e
def test_no_stage_runs_again_for_another_number_of_workers(nodes, digits_run):
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.running import graph

    named = config.load("digits", ["beam.workers=2"])
    pipeline = graph.build(named, PipelinePaths.of(digits_run.home, "digits"), "a run")

    assert [node.id for node in pipeline.components if node.exec_properties != nodes[node.id].exec_properties] == []


@pytest.mark.e2e
def test_a_file_of_an_artifact_belongs_to_an_output_that_there_is(nodes, digits_run):
    from components import artifact_files
    from components.artifact_files import ArtifactFile

    known = [value for value in vars(artifact_files).values() if isinstance(value, ArtifactFile)]
    for file in known:
        folder = digits_run.output(file.stage, file.output)
        # There is no published model yet, the rows belong to no groups, and their pictures came as pixels.
        optional = ("CHALLENGE", "GROUPS", "PICTURE_FILES", "OLD_PREDICTIONS")
        is_optional = file in [getattr(artifact_files, name) for name in optional]
        assert is_optional or file.path(folder, "test").exists(), file


@pytest.mark.e2e
def test_all_modules_that_a_stage_loads_are_in_its_fingerprint(nodes, digits_run, tmp_path):
    from pipeline.running.home_paths import HomePaths

    home_paths = HomePaths(digits_run.home, ROOT, digits_run.home)
    cached = {stage.id: nodes[stage.id] for stage in STAGES if stage.is_cached}
    described = {
        name: {
            "module": type(node).__module__,
            "name": type(node).__name__,
            "properties": home_paths.fill(node.exec_properties),
            "inputs": {
                key: str(digits_run.output(channel.producer_component_id, channel.output_key))
                for key, channel in node.inputs.items()
            },
        }
        for name, node in cached.items()
    }
    (tmp_path / "stages.json").write_text(json.dumps(described))
    script = Path(__file__).with_name("modules_of_stages.py")

    done = subprocess.run(
        [sys.executable, script, tmp_path / "stages.json"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr[-3000:]
    loaded = {one["stage"]: set(one["modules"]) for one in map(json.loads, done.stdout.splitlines())}
    assert loaded.keys() == cached.keys()
    forgotten = {name: sorted(modules - set(_fingerprint(nodes[name]))) for name, modules in loaded.items()}
    assert {name: modules for name, modules in forgotten.items() if modules} == {}


@pytest.mark.slow
def test_no_task_loads_its_reference_models_with_itself():
    tasks = [registry.task_module(name) for name in registry.TASKS]
    script = f"import sys, importlib; [importlib.import_module(name) for name in {tasks}]; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = [name for name in done.stdout.split() if name.startswith("models.")]
    assert set(tasks) <= set(loaded)
    assert [name for name in loaded if name.endswith(".reference")] == []
