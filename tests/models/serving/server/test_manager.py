import shutil
import threading
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2

from models.serving.protocol.config_files import ModelServerConfig
from models.serving.protocol.statuses import ServingStatus
from models.serving.server.manager import ModelManager
from models.serving.server.servable import Servable
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow


def load(name, number, path):
    return Servable(name, number, path)


@pytest.fixture
def base(tiny_model, tmp_path):
    """A folder with versions 1 and 2."""
    for version in (1, 2):
        shutil.copytree(tiny_model, tmp_path / "m" / str(version))
    return tmp_path / "m"


@pytest.fixture
def managed():
    """Returns a function that makes a running manager; all are stopped at the end."""
    made = []

    def make(config, **options):
        manager = ModelManager(options.pop("load", load), **{"max_retries": 0, **options})
        made.append(manager)
        new = manager.configure(config)
        manager.start(0.05)
        manager.wait_for(new, PATIENCE_S)
        return manager

    yield make
    for manager in made:
        manager.stop()


def config(base: Path, inside: str = "", name: str = "m") -> ModelServerConfig:
    text = f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" {inside} }} }}'
    return text_format.Parse(text, ModelServerConfig())


def spec(version: int | None = None, label: str | None = None) -> model_pb2.ModelSpec:
    model_spec = model_pb2.ModelSpec(name="m")
    if version is not None:
        model_spec.version.value = version
    if label is not None:
        model_spec.version_label = label
    return model_spec


def answering_version(manager: ModelManager, spec: model_pb2.ModelSpec) -> int:
    servable = manager.acquire(spec)
    servable.release()
    return servable.version


def states(manager: ModelManager) -> dict[int, int]:
    return {number: version.state for number, version in manager.statuses("m", None)}


def test_the_newest_version_is_served_and_older_ones_are_not(base, managed):
    manager = managed(config(base))

    assert states(manager) == {2: 30}
    assert answering_version(manager, spec()) == 2


def test_policies_select_versions(base, managed):
    every = managed(config(base, "model_version_policy { all {} }"))
    chosen = managed(config(base, "model_version_policy { specific { versions: 1 versions: 9 } }"))
    two = managed(config(base, "model_version_policy { latest { num_versions: 2 } }"))

    assert states(every) == {2: 30, 1: 30}
    assert states(chosen) == {1: 30}
    assert states(two) == {2: 30, 1: 30}
    assert [answering_version(every, spec(1)), answering_version(every, spec())] == [1, 2]


def test_a_new_version_is_loaded_before_the_old_one_is_unloaded(base, managed, tiny_model):
    loading, go_on = threading.Event(), threading.Event()

    def slowly(name, number, path):
        if number == 3:
            loading.set()
            assert go_on.wait(PATIENCE_S)
        return load(name, number, path)

    manager = managed(config(base), load=slowly)
    shutil.copytree(tiny_model, base / "staging")
    (base / "staging").rename(base / "3")

    assert loading.wait(PATIENCE_S)
    assert answering_version(manager, spec()) == 2
    go_on.set()
    until(lambda: answering_version(manager, spec()) == 3)
    until(lambda: states(manager) == {3: 30, 2: 50})


def test_a_version_in_use_is_not_closed_before_its_request_ends(base, managed, tiny_model):
    manager = managed(config(base))
    held = manager.acquire(spec())

    manager.configure(config(base, "model_version_policy { specific { versions: 1 } }"))
    until(lambda: answering_version(manager, spec()) == 1)
    until(lambda: states(manager)[2] == 40)
    signature = held.signatures["total"]
    import numpy as np

    feeds = {signature.inputs["x"]: np.float32([1, 2])}
    assert held.run(feeds, [signature.outputs["total"]])[0] == 3
    held.release()
    until(lambda: states(manager)[2] == 50)


def test_a_long_request_on_an_old_version_blocks_no_load_of_another_model(base, managed, tmp_path):
    shutil.copytree(base, tmp_path / "other")
    text = (
        f'config {{ name: "m" base_path: "{base}" %s }} config {{ name: "other" base_path: "{tmp_path / "other"}" %s }}'
    )
    pinned = "model_version_policy { specific { versions: 1 } }"

    def both(first: str = "", second: str = ""):
        return text_format.Parse(f"model_config_list {{ {text % (first, second)} }}", ModelServerConfig())

    manager = managed(both())
    held = manager.acquire(spec())
    manager.configure(both(pinned))
    until(lambda: states(manager) == {1: 30, 2: 40})

    manager.configure(both(pinned, pinned))
    until(lambda: answering_version(manager, model_pb2.ModelSpec(name="other")) == 1)

    assert states(manager)[2] == 40
    held.release()
    until(lambda: states(manager)[2] == 50)


def test_a_slow_load_blocks_neither_another_models_load_nor_the_status(base, managed, tmp_path):
    shutil.copytree(base, tmp_path / "other")
    loading, go_on = threading.Event(), threading.Event()

    def slowly(name, number, path):
        if name == "m" and number == 1:
            loading.set()
            assert go_on.wait(PATIENCE_S)
        return load(name, number, path)

    manager = managed(config(base), load=slowly, num_load_threads=2)
    pinned = "model_version_policy { specific { versions: 1 } }"
    both = (
        f'config {{ name: "m" base_path: "{base}" {pinned} }} config {{ name: "o" base_path: "{tmp_path / "other"}" }}'
    )
    new = manager.configure(text_format.Parse(f"model_config_list {{ {both} }}", ModelServerConfig()))

    assert loading.wait(PATIENCE_S)
    assert manager.wait_for(new, PATIENCE_S) == []
    assert states(manager) == {1: 20, 2: 30}
    manager.configure(config(base))  # version 1 is not wanted any more, while it loads
    go_on.set()
    until(lambda: states(manager) == {1: 50, 2: 30})


def test_a_version_that_does_not_load_keeps_the_old_one_live_and_is_not_loaded_again(base, managed):
    tried = []

    def counting(name, number, path):
        tried.append(number)
        return load(name, number, path)

    manager = managed(config(base), load=counting, max_retries=2, retry_seconds=0.05)
    (base / "3").mkdir()

    until(lambda: states(manager).get(3) == 50)
    assert answering_version(manager, spec()) == 2
    _, version = manager.statuses("m", 3)[0]
    (base / "4").mkdir()
    until(lambda: states(manager).get(4) == 50)  # it has looked for versions to load since
    assert tried == [2, 3, 3, 3, 4, 4, 4]
    assert "Could not find SavedModel .pb or .pbtxt" in str(version.error)


def test_a_failed_version_is_loaded_again_after_its_folder_was_removed(base, managed, tiny_model):
    manager = managed(config(base))
    (base / "3").mkdir()
    until(lambda: states(manager).get(3) == 50)

    (base / "3").rmdir()
    until(lambda: 3 not in states(manager))
    shutil.copytree(tiny_model, base / "staging")
    (base / "staging").rename(base / "3")

    until(lambda: answering_version(manager, spec()) == 3)


def test_nothing_is_unloaded_if_the_folder_is_missing_and_all_versions_if_it_is_empty(base, managed, caplog):
    manager = managed(config(base))

    base.rename(base.with_name("away"))
    until(lambda: "Could not find base path" in caplog.text)
    assert answering_version(manager, spec()) == 2

    base.mkdir()
    until(lambda: states(manager) == {2: 50} if _has(manager) else True)
    with pytest.raises(ServingStatus, match=r"Servable not found for request: Latest\(m\)"):
        manager.acquire(spec())


def _has(manager: ModelManager) -> bool:
    try:
        return bool(manager.statuses("m", None))
    except ServingStatus:
        return False


def test_labels_are_assigned_to_available_versions(base, managed):
    manager = managed(config(base, "model_version_policy { all {} }"))
    labelled = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'

    manager.configure(config(base, labelled))
    assert answering_version(manager, spec(label="stable")) == 1

    with pytest.raises(ServingStatus, match="Request to assign label to version 9 of model m, which is not currently"):
        manager.configure(config(base, labelled.replace("1", "9")))
    assert answering_version(manager, spec(label="stable")) == 1
    manager.configure(config(base))
    with pytest.raises(ServingStatus, match="Unrecognized servable version label: stable"):
        manager.acquire(spec(label="stable"))


def test_a_label_moves_before_its_old_version_is_unloaded(base, managed):
    pinned = 'model_version_policy {{ specific {{ versions: {0} }} }} version_labels {{ key: "stable" value: {0} }}'
    manager = managed(config(base, pinned.format(2)), early_labels=True)
    gone = []

    def keep_asking():
        while not gone:
            answering_version(manager, spec(label="stable"))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    with pytest.raises(ServingStatus):
        manager.configure(config(base, pinned.format(1)))
    until(lambda: answering_version(manager, spec(label="stable")) == 1)
    gone.append(True)
    asking.join()


def test_models_removed_from_the_config_are_unloaded(base, managed):
    manager = managed(config(base))

    manager.configure(config(base, name="other"))

    until(lambda: states(manager) == {2: 50})
    assert manager.wait_for(["other"], 30) == []
    assert answering_version(manager, model_pb2.ModelSpec(name="other")) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('config { name: "m" base_path: "models/m" }', "Expected model m to have an absolute path or URI"),
        (
            'config { name: "m" base_path: "/a" } config { name: "m" base_path: "/b" }',
            "Illegal to list model m multiple",
        ),
    ],
)
def test_invalid_configs_are_refused_with_tf_servings_message(managed, text, words):
    with pytest.raises(ServingStatus, match=words):
        ModelManager(load).configure(text_format.Parse(f"model_config_list {{ {text} }}", ModelServerConfig()))


def test_a_version_without_variables_loads_and_its_requests_fail(base, managed):
    import numpy as np

    shutil.rmtree(base / "2" / "variables")
    manager = managed(config(base))

    servable = manager.acquire(spec())
    signature = servable.signatures["serving_default"]
    with pytest.raises(ServingStatus) as error:
        servable.run({signature.inputs["x"]: np.zeros((1, 2), np.float32)}, [signature.outputs["y"]])
    servable.release()
    assert error.value.code.name == "FAILED_PRECONDITION"
