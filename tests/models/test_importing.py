import gc
import sys

import pytest

from models.importing import uncollected


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


def test_nothing_is_collected_during_imports_and_what_was_imported_is_never_scanned(tmp_path, monkeypatch):
    (tmp_path / "parcel_of_lists.py").write_text("lists = [[] for _ in range(1000)]\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with uncollected():
        during = gc.isenabled()
        import parcel_of_lists

    sys.modules.pop("parcel_of_lists")
    scanned = {id(one) for one in gc.get_objects()}
    assert (during, gc.isenabled()) == (False, True)
    assert not scanned & {id(one) for one in parcel_of_lists.lists}


def test_a_block_that_imports_nothing_new_keeps_no_garbage():
    gc.collect()
    frozen = gc.get_freeze_count()

    with uncollected():
        import sys  # noqa: F401

    assert gc.get_freeze_count() == frozen


def test_an_import_that_fails_leaves_the_collector_on():
    with pytest.raises(ModuleNotFoundError), uncollected():
        import no_such_parcel  # noqa: F401

    assert gc.isenabled()
