import pytest

from data import local
from data.columnar import batches
from data.config import DataConfig
from data.errors import ConfigError
from data.files import spans

COLUMNS = {"x": "number", "y": {"kind": "label", "classes": ["0", "1"]}}


def _write(folder, names, first: int = 0) -> None:
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{100 * (index + first) + row},{row % 2}" for row in range(20)]
        path.write_text("x,y\n" + "\n".join(rows) + "\n")


def _dataset(folder, files, **settings):
    return local.dataset(DataConfig(files=files, features=COLUMNS, **settings), "mine", folder)


def _rows(dataset) -> dict[str, set[int]]:
    """Returns split -> the hundreds of x in it: which spans its rows are of."""
    values_by_split: dict[str, set[int]] = {}
    for split, row in batches.rows(dataset.sources["files"](None), dataset.spec):
        values_by_split.setdefault(split, set()).add(int(row["x"]) // 100)
    return values_by_split


def test_numbers_and_dates_are_found_in_order(tmp_path):
    _write(tmp_path, ["span-10/a.csv", "span-9/a.csv", "span-9/b.csv", "span-x/a.csv", "day/2026-02-31.csv"])
    _write(tmp_path, ["day/2026-01-02.csv", "day/2025-12-31.csv"])

    numbered = spans.find(f"{tmp_path}/span-{{SPAN}}/*.csv")
    dated = spans.find(f"{tmp_path}/day/{{YYYY}}-{{MM}}-{{DD}}.csv")

    assert [(span.name, len(paths)) for span, paths in numbered.items()] == [("9", 2), ("10", 1)]
    assert [span.name for span in dated] == ["2025-12-31", "2026-01-02"]
    assert spans.missing(dated) == ["2026-01-01"]
    assert spans.missing(numbered) == []


def test_a_placeholder_that_occurs_twice_has_one_value(tmp_path):
    _write(tmp_path, ["7/rows-7.csv", "7/rows-8.csv"])

    found_spans = spans.find(f"{tmp_path}/{{SPAN}}/rows-{{SPAN}}.csv")

    assert [path.rsplit("/", 1)[1] for paths in found_spans.values() for path in paths] == ["rows-7.csv"]


@pytest.mark.parametrize("pattern", ["{YYYY}-{MM}.csv", "{SPAN}/{YYYY}{MM}{DD}.csv", "{DD}.csv"])
def test_half_a_date_or_both_is_refused(pattern):
    with pytest.raises(ConfigError, match=r"expected \{SPAN\}, or \{YYYY\}, \{MM\} and \{DD\} together"):
        spans.has_placeholders(pattern)


def test_a_run_takes_the_newest_of_the_window(tmp_path):
    _write(tmp_path, [f"{number}.csv" for number in range(5)])

    dataset = _dataset(tmp_path, "{SPAN}.csv", window=3)

    assert list(dataset.spans()) == ["2", "3", "4"]
    assert set.union(*_rows(dataset).values()) == {2, 3, 4}


def test_a_missing_day_counts_in_the_window(tmp_path):
    _write(tmp_path, ["2026-01-01.csv", "2026-01-02.csv", "2026-01-05.csv"])

    assert list(_dataset(tmp_path, "{YYYY}-{MM}-{DD}.csv", window=4).spans()) == ["2026-01-02", "2026-01-05"]


def test_the_newest_spans_become_the_test_split(tmp_path):
    _write(tmp_path, [f"{number}.csv" for number in range(5)])

    values_by_split = _rows(_dataset(tmp_path, "{SPAN}.csv", test_spans=2))

    assert values_by_split["test"] == {3, 4}
    assert values_by_split["train"] | values_by_split["validation"] == {0, 1, 2}


def test_new_data_changes_the_digest_and_old_data_that_leaves_the_window_too(tmp_path):
    _write(tmp_path, ["1.csv", "2.csv"])
    before = _dataset(tmp_path, "{SPAN}.csv", window=2)
    _write(tmp_path, ["3.csv"], first=2)
    after = _dataset(tmp_path, "{SPAN}.csv", window=2)

    assert before.digest() != after.digest()
    assert before.spans()["2"] == after.spans()["2"]
    assert list(after.spans()) == ["2", "3"]


def test_late_changed_and_removed_spans_are_reported():
    before = {"2026-01-01": "a", "2026-01-02": "b", "2026-01-04": "c", "2026-01-05": "d"}

    assert spans.changes(before, {**before, "2026-01-06": "e"}) == []
    assert spans.changes(before, {"2026-01-04": "c", "2026-01-05": "d", "2026-01-06": "e"}) == []  # the window moved on
    assert spans.changes(before, {**before, "2026-01-03": "late"}) == ["span 2026-01-03 came late"]
    assert spans.changes(before, {**before, "2026-01-02": "x"}) == ["span 2026-01-02 changed since the last run"]
    without_one = {name: digest for name, digest in before.items() if name != "2026-01-04"}
    assert spans.changes(before, without_one) == ["span 2026-01-04 is gone"]
    assert spans.changes({}, before) == []


def test_numbers_are_ordered_as_numbers():
    assert spans.changes({"9": "a", "10": "b"}, {"9": "a", "10": "b", "11": "c"}) == []
    assert spans.changes({"9": "a", "11": "b"}, {"9": "a", "10": "c", "11": "b"}) == ["span 10 came late"]


def test_a_data_set_of_the_catalog_has_no_spans():
    with pytest.raises(ValueError, match="window and test_spans with files in spans only"):
        DataConfig(name="digits", window=3)


@pytest.mark.parametrize(
    ("files", "settings", "words"),
    [
        ("{SPAN}.parquet", {}, "there is no file .* for any span"),
        ("1.csv", {"window": 2}, "are of files in spans"),
        ("{SPAN}.csv", {"test_spans": 2}, "of 2 spans 2 are for testing"),
        ({"train": "{SPAN}.csv"}, {"test_spans": 1}, "cuts files without splits of their own"),
    ],
)
def test_invalid_settings_of_spans_are_refused(tmp_path, files, settings, words):
    _write(tmp_path, ["1.csv", "2.csv"])

    with pytest.raises(ConfigError, match=words):
        _dataset(tmp_path, files, **settings)
