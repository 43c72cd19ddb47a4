import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from data.config import DataConfig
from data.errors import DataError
from data.local import dataset
from data.sources.blocks import Block
from data.sources.tables import formats, partitions


def _write(folder, subfolder, **columns):
    (folder / subfolder).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / subfolder / "part-0.parquet")


def _rows(folder):
    return [
        {name: block.cells.column(name)[row].as_py() for name in block.columns}
        for block in formats.blocks(folder, "parquet", DataConfig(files=str(folder)))
        for row in range(len(block))
    ]


def test_folder_names_add_columns_of_integers_texts_and_nulls(tmp_path):
    _write(tmp_path, "year=2023/code=01/city=a%2Fb", x=[1, 2])
    _write(tmp_path, "year=2024/code=11/city=__HIVE_DEFAULT_PARTITION__", x=[3])

    rows = _rows(tmp_path)

    assert rows == [
        {"x": 1, "year": 2023, "code": "01", "city": "a/b"},
        {"x": 2, "year": 2023, "code": "01", "city": "a/b"},
        {"x": 3, "year": 2024, "code": "11", "city": None},
    ]
    assert [record.cells for record in partitions.read(tmp_path)] == rows
    assert partitions.columns(tmp_path) == ["x", "year", "code", "city"]


def test_partitioned_tables_are_read_as_by_pyarrow(tmp_path):
    table = pa.table({"x": [0.5, 1.5, 2.5], "region": ["eu", "us", "eu"], "year": [2024, 2023, 2024]})
    schema = pa.schema([("region", pa.string()), ("year", pa.int64())])
    pa.dataset.write_dataset(
        table, tmp_path, format="parquet", partitioning=pa.dataset.partitioning(schema, flavor="hive")
    )

    rows = _rows(tmp_path)

    assert rows == pa.dataset.dataset(tmp_path, partitioning="hive").to_table().to_pylist()


def test_rows_are_counted_by_file_and_files_without_rows_left_out(tmp_path):
    _write(tmp_path, "a=1", x=pa.array([], pa.int64()))
    _write(tmp_path, "a=2", x=[5, 6])
    _write(tmp_path, "a=3", x=[7])

    blocks = list(partitions.blocks(tmp_path))

    assert [block.where(row) for block in blocks for row in range(len(block))] == [
        f"{tmp_path}/a=2/part-0.parquet:1",
        f"{tmp_path}/a=2/part-0.parquet:2",
        f"{tmp_path}/a=3/part-0.parquet:1",
    ]


def test_a_file_with_other_columns_is_named(tmp_path):
    _write(tmp_path, "a=1", price=[1])
    _write(tmp_path, "a=2", prize=[1])

    with pytest.raises(DataError, match=r"a=2/part-0.parquet: column price is missing \(there is 'prize'\)"):
        partitions.columns(tmp_path)


def test_a_folder_with_class_folders_and_a_parquet_file_is_no_table(tmp_path):
    _write(tmp_path / "plain", "", x=[1])
    _write(tmp_path / "classes", "", x=[1])
    (tmp_path / "classes" / "cats").mkdir()
    (tmp_path / "empty" / "a=1").mkdir(parents=True)

    assert partitions.is_table(tmp_path / "plain")
    assert not partitions.is_table(tmp_path / "classes")
    assert not partitions.is_table(tmp_path / "empty")


def test_a_new_file_in_a_folder_changes_the_digest_and_the_inferred_classes(tmp_path):
    _write(tmp_path / "data", "a=1", x=[1.5, 2.5], label=["yes", "no"])
    config = DataConfig(files="data", label="label")
    before = dataset(config, "mine", tmp_path)
    digest = before.digest()

    _write(tmp_path / "data", "a=2", x=[3.5, 4.5], label=["yes", "maybe"])
    after = dataset(config, "mine", tmp_path)

    assert after.digest() != digest
    assert after.last_change() > before.last_change() - 1
    assert after.spec.features["label"].classes == ("maybe", "no", "yes")
    assert after.columns() == ["x", "label", "a"]


@pytest.mark.parametrize(
    ("log", "place", "name"),
    [
        ("_delta_log/00000000000000000000.json", "", "Delta Lake"),
        ("_delta_log/00000000000000000000.json", "year=2024", "Delta Lake"),
        ("metadata/00000-1f.metadata.json", "data", "Iceberg"),
        ("metadata/v1.metadata.json", "data/year=2024", "Iceberg"),
        (".hoodie/hoodie.properties", "", "Hudi"),
    ],
)
@pytest.mark.parametrize("files", [".", "{place}", "{place}/*.parquet"])
def test_a_table_with_a_log_of_changes_is_refused_as_its_files_hold_deleted_rows(tmp_path, log, place, name, files):
    _write(tmp_path / "t", place, x=[1, 2])
    (tmp_path / "t" / log).parent.mkdir()
    (tmp_path / "t" / log).write_text("{}")

    with pytest.raises(DataError, match=rf"{tmp_path}/t is a table of {name}, whose log .*; export the table to plain"):
        dataset(DataConfig(files=f"t/{files.format(place=place)}", features={"x": {"kind": "number"}}), "p", tmp_path)


def test_folders_named_data_or_metadata_are_no_log(tmp_path):
    _write(tmp_path, "data", x=[1, 2])
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "columns.json").write_text("{}")

    assert partitions.columns(tmp_path / "data") == ["x"]


def test_a_partition_column_replaces_a_column_of_mixed_types():
    block = Block("part.parquet", pa.RecordBatch.from_pydict({"y": [1, 2]}), np.arange(2), mixed={"x": ["a", 1]})

    result = partitions._with_values(block, {"x": 7})

    assert result.columns == ["y", "x"]
    assert result.column("x").to_pylist() == [7, 7]
