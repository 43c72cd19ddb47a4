import tomllib

from models import registry
from tests.conftest import ROOT


def test_the_contract_that_tasks_do_not_import_each_other_names_all_of_them():
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [each for each in linter["contracts"] if each["name"] == "Tasks do not import each other"]

    assert sorted(contract["modules"]) == sorted(registry.TASKS.values())
