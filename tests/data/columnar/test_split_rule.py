"""The split rule, which a published version keeps, differs whenever rows would be in other splits."""

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import loading, local
from data.columnar.splitting import agree
from data.config import DataConfig
from data.errors import DataError
from tests.data.corpus import COLUMNS, FEATURES, csv_text, rows


def _without(name: str) -> dict:
    return {feature: kind for feature, kind in FEATURES.items() if feature != name}


def test_split_rules_differ_when_the_splits_do(tmp_path):
    columns = [*COLUMNS, "key"]
    (tmp_path / "rows.csv").write_text(csv_text([{**row, "key": 1} for row in rows()], columns))

    def rule(**settings) -> dict:
        config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES, "ignore": ["key"], **settings})
        return local.dataset(config, "customers", tmp_path).rule()

    usual = rule()

    assert agree(rule(features=_without("age"), ignore=["key", "age"]), usual)
    assert agree(rule(train_share=0.5), usual)
    assert not agree(rule(splits={"test": 0.2}), usual)
    assert not agree(rule(roles={"id": "key"}), usual)
    assert agree(rule(split_by="key"), rule(roles={"group": "key"}))
    (tmp_path / "rows.csv").write_text(csv_text([{**row, "key": 1, "new": 1} for row in rows()], [*columns, "new"]))
    assert not agree(rule(ignore=["key", "new"]), usual)


def test_split_rules_differ_by_test_files_and_formats(tmp_path):
    for name, count in (("a", 60), ("b", 40)):
        (tmp_path / f"{name}.csv").write_text(csv_text(rows(count)))
    pq.write_table(pa.Table.from_pylist(rows()), tmp_path / "a.parquet")

    def rule(files) -> dict:
        return local.dataset(DataConfig.model_validate({"files": files, "features": FEATURES}), "c", tmp_path).rule()

    assert not agree(rule({"train": "a.csv", "test": "b.csv"}), rule({"train": "b.csv", "test": "a.csv"}))
    assert agree(rule("a.csv"), rule("b.csv"))
    assert not agree(rule("a.csv"), rule("a.parquet"))


def _as_decimals(table: pa.Table) -> pa.Table:
    return table.set_column(0, "age", table["age"].cast(pa.float64()))


def _as_date(table: pa.Table) -> pa.Table:
    return table.set_column(4, "day", table["day"].cast(pa.date32()))


REWRITTEN = {
    "another order": (lambda table: table.take(pa.array(range(table.num_rows))[::-1]), ()),
    "rows added": (lambda table: pa.concat_tables([table, table.slice(0, 50)]), ()),
    "38.0": (_as_decimals, ("csv",)),
    "a date of a moment": (_as_date, ("parquet",)),
    "float32": (lambda table: table.set_column(1, "income", table["income"].cast(pa.float32())), ("csv", "parquet")),
}
"""Name of a change -> its function of a table, and the formats in which it moves rows to other splits."""


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("case", REWRITTEN)
def test_a_rewritten_table_has_another_split_rule_when_rows_move(tmp_path, case, ending):
    """With equal settings the rule was equal, although a third of the rows were in other splits."""
    change, moving = REWRITTEN[case]
    changed_rows = [{**row, "income": i / 3, "day": datetime(2026, 1, 1 + i % 28)} for i, row in enumerate(rows(300))]
    table, splits_and_rules = pa.Table.from_pylist(changed_rows), []
    for number, version in enumerate((table, change(table))):
        file = tmp_path / str(number) / f"rows.{ending}"
        file.parent.mkdir()
        pq.write_table(version, file) if ending == "parquet" else version.to_pandas().to_csv(file, index=False)
        config = DataConfig.model_validate({"files": file.name, "features": FEATURES, "ignore": ["day"]})
        dataset = local.dataset(config, "customers", file.parent)
        splits = {row["plan"]: split for split, row in loading.open_rows(dataset, config)}
        splits_and_rules.append((splits, json.loads(json.dumps(dataset.rule()))))

    (before, rule), (after, other_rule) = splits_and_rules
    assert (before == after) == (ending not in moving) == agree(rule, other_rule)


def test_the_rule_of_the_splits_holds_all_roles_and_columns_where_groups_may_be_empty(tmp_path):
    columns = [*COLUMNS, "customer", "key"]
    rows_with_roles = [{**row, "customer": f"c{i // 2}", "key": i, "region": "n"} for i, row in enumerate(rows())]

    def rule(columns: list[str], customer=None, **roles) -> dict:
        (tmp_path / "rows.csv").write_text(csv_text(rows_with_roles, columns))
        features = {**FEATURES, **({"customer": customer} if customer else {})}
        ignore = [name for name in columns if name not in features]
        config = DataConfig.model_validate(
            {"files": "rows.csv", "features": features, "ignore": ignore, "roles": {"group": "customer", **roles}}
        )
        return local.dataset(config, "customers", tmp_path).rule()

    assert not agree(rule(columns), rule(columns, id="key"))
    assert not agree(rule(columns), rule([*columns, "region"]))
    assert agree(rule(columns, "category"), rule([*columns, "region"], "category"))


def _jsonl(folder, objects: list[dict], **settings) -> dict:
    """Returns the rule of the splits of JSON objects."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in objects))
    config = DataConfig.model_validate({"files": "rows.jsonl", "features": FEATURES, **settings})
    return local.dataset(config, "customers", folder).rule()


def test_the_order_of_json_objects_does_not_change_the_rule(tmp_path):
    """A first object without an optional value gave another rule, and the live version was not compared."""
    objects = rows()
    del objects[7]["income"]

    usual, moved = _jsonl(tmp_path, objects), _jsonl(tmp_path, [objects[7], *objects[:7], *objects[8:]])

    assert agree(usual, moved)
    (tmp_path / "rows.csv").write_text(csv_text(rows()))
    config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES})
    assert usual["columns"] == local.dataset(config, "customers", tmp_path).rule()["columns"]


def test_the_first_json_object_may_lack_the_group_which_no_object_may_lack_in_all(tmp_path):
    objects = [{**row, "customer": f"c{i // 2}"} for i, row in enumerate(rows())]
    del objects[0]["customer"]

    assert _jsonl(tmp_path, objects, roles={"group": "customer"})["by"] == ["customer"]
    with pytest.raises(DataError, match="column custmer is missing"):
        _jsonl(tmp_path, rows(), roles={"group": "custmer"})
