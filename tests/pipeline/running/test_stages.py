"""The table of stages agrees with the code of the stages: order, settings, modules, packages, artifacts."""

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
from tests.waiting import PATIENCE_S

# Modules that import by a name computed at run time; `Wiring.fingerprint` names the modules that they import.
IMPORT_BY_NAME = {"data/catalog/__init__.py", "data/loading.py", "models/registry.py"}


def test_no_stage_runs_after_a_later_one_of_the_table():
    ids = [stage.id for stage in STAGES]

    assert len(set(ids)) == len(ids)
    assert all(ids.index(other) < ids.index(stage.id) for stage in STAGES for other in stage.runs_after)


def test_the_documents_list_all_stages_in_order():
    table = (ROOT / "docs" / "gates.md").read_text().split("| stage |")[1].split("\n\n")[0].splitlines()[2:]
    listed = [name for line in table for name in line.split("|")[1].strip().split(", ")]

    assert listed == [*BY_ID, "report"]


def test_only_the_listed_modules_import_by_a_computed_name():
    importing_modules = set()
    folders = ("components", "models", "data", "pipeline/running")
    for path in (path for name in folders for path in (ROOT / name).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        names |= {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.name for node in nodes if isinstance(node, ast.alias)}
        importing_modules |= {str(path.relative_to(ROOT))} if names & {"import_module", "__import__"} else set()

    assert importing_modules == IMPORT_BY_NAME


def test_modules_of_serving_and_evaluation_are_not_in_the_fingerprint_of_training():
    by_name = {"models.registry": [registry.task_module("image_classification")]}
    modules = closure([BY_ID["train"].module], by_name=by_name, excluded=BY_ID["train"].excluded)

    assert "models.tasks.image_classification.task" in modules
    others = ("models.serving.server", "models.serving.rollout", "models.serving.client")
    evaluation = ("components.classical", "components.evaluator", "components.baseline")
    assert not [name for name in modules if name.startswith((*others, *evaluation)) or name.endswith(".reference")]


@pytest.mark.slow
def test_packages_of_a_fingerprint_have_the_names_of_installed_distributions():
    installed = packages_distributions()
    trees = [ast.parse(path.read_text()) for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}

    distributions = {name.partition(".")[0]: distribution(name) for name in imported}

    def is_right(module: str, name: str) -> bool:
        return canonicalize_name(name) in map(canonicalize_name, installed[module])

    known_packages = {module: name for module, name in distributions.items() if name and module in installed}
    assert {module: name for module, name in known_packages.items() if not is_right(module, name)} == {}
    assert {"tensorflow", "sklearn", "PIL"} <= distributions.keys()


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
def test_a_setting_changes_only_stages_that_the_table_names(nodes, digits_run, setting):
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.running import graph

    pipeline = graph.build(config.load("digits", [setting]), PipelinePaths.of(digits_run.home, "digits"), "a run")

    changed = {node.id for node in pipeline.components if node.exec_properties != nodes[node.id].exec_properties}
    assert changed <= {stage.id for stage in STAGES if setting.startswith(stage.settings)}
    assert changed


@pytest.mark.e2e
def test_the_number_of_workers_is_not_in_any_cache_key(nodes, digits_run):
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.running import graph

    named = config.load("digits", ["beam.workers=2"])
    pipeline = graph.build(named, PipelinePaths.of(digits_run.home, "digits"), "a run")

    assert [node.id for node in pipeline.components if node.exec_properties != nodes[node.id].exec_properties] == []


@pytest.mark.e2e
def test_the_listed_files_of_artifacts_exist_after_a_run(nodes, digits_run):
    from components import artifact_files
    from components.artifact_files import ArtifactFile

    artifact_file_list = [value for value in vars(artifact_files).values() if isinstance(value, ArtifactFile)]
    for file in artifact_file_list:
        folder = digits_run.output(file.stage, file.output)
        # There is no published model yet, rows have no groups and no ids, and their pictures came as pixels.
        optional = ("CHALLENGE", "GROUPS", "IDS", "PICTURE_FILES", "OLD_PREDICTIONS")
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

    result = subprocess.run(
        [sys.executable, script, tmp_path / "stages.json"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert result.returncode == 0, result.stderr[-3000:]
    loaded = {line["stage"]: set(line["modules"]) for line in map(json.loads, result.stdout.splitlines())}
    assert loaded.keys() == cached.keys()
    missing = {name: sorted(modules - set(_fingerprint(nodes[name]))) for name, modules in loaded.items()}
    assert {name: modules for name, modules in missing.items() if modules} == {}


@pytest.mark.slow
def test_importing_a_task_does_not_import_its_reference_models():
    tasks = [registry.task_module(name) for name in registry.TASKS]
    script = f"import sys, importlib; [importlib.import_module(name) for name in {tasks}]; print(*sys.modules)"

    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = [name for name in result.stdout.split() if name.startswith("models.")]
    assert set(tasks) <= set(loaded)
    assert [name for name in loaded if name.endswith(".reference")] == []
