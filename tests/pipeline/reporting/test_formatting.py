import pytest

from pipeline.reporting import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.91234, "0.9123"), (1234, "1,234"), (12345.6, "12,346"), (3.14159, "3.142"), (0.00001, "1e-05"), (None, ""),
     ("text", "text"), (float("nan"), "none"), (True, "True"), (1.0, "1")],
)  # fmt: skip
def test_numbers_are_written_as_people_read_them(value, text):
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(30.19, 30.2), (103.7, 104), (12345.6, 12346), (4.291, 4.29), (0.0127, 0.0127), (0.0, 0.0), (None, None)],
)
def test_measured_times_and_sizes_have_three_digits(value, shown):
    assert formatting.rounded(value) == shown


def test_a_measured_value_is_written_with_its_interval_if_it_has_one():
    with_interval, without_interval = formatting.Measured(0.94213, (0.9204, 0.9579)), formatting.Measured(0.94213)

    assert str(with_interval) == "0.942 (0.920 to 0.958)"
    assert str(without_interval) == "0.9421"
    assert str(formatting.Measured(None)) == ""
    assert str(formatting.Measured(23_456.7, (21_000.0, 25_900.0))) == "23,500 (21,000 to 25,900)"


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [(0.0208, (0.005, 0.0366), "+0.021"), (-0.0208, None, "-0.0208"), (0.0, None, "+0"), (1200.0, None, "+1,200")],
)
def test_a_difference_has_its_sign(value, interval, text):
    assert formatting.difference(value, interval) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.14, "3.1 s"), (200, "3 min 20 s"), (7260, "2 h 1 min")])
def test_durations_are_written_in_words(seconds, text):
    assert formatting.duration(seconds) == text


def test_settings_are_as_the_run_file_has_them():
    assert formatting.setting(["低", "مرتفع", 1, None]) == '["低", "مرتفع", 1, null]'
    assert formatting.setting("低") == "低"


def test_long_lists_are_compared_by_added_and_removed_items():
    before = [f"sku{index}" for index in range(1000)]
    after = ["new", *before[2:]]

    row = formatting.settings_row([before, after, before, before[::-1], "–", 5, "x" * 200])  # noqa: RUF001

    assert row == [
        "1,000: sku0, sku1, sku2 and 997 more",
        "999: new added; sku0, sku1 removed",
        "1,000, the same",
        "1,000: the same in another order",
        "–",  # noqa: RUF001
        "5",
        "x" * 59 + "…",
    ]
    assert formatting.settings_row([["a"], ["b"]]) == ['["a"]', '["b"]']


@pytest.mark.parametrize(
    ("mistake", "files", "name"),
    [
        ({"row": 1234}, "a.csv", "test row 1,235"),
        ({"row": 5, "file": "", "number": 1300}, None, "test row 1,300"),
        ({"row": 5, "file": "2", "number": 7}, ["a.csv", "b.csv"], "file 2:7"),
        ({"row": 5, "file": "1", "number": 7}, "part-*.csv", "file 1:7"),
        ({"row": 5, "file": "1/cat/7.png", "number": 0}, "photos", "photos/cat/7.png"),
        ({"row": 5, "file": "2020.txt", "number": 3}, None, "2020.txt:3"),
        ({"row": 5, "file": "1", "number": 7, "id": "K12"}, "a.csv", "a.csv:7, id K12"),
    ],
)
def test_a_row_is_named_as_messages_name_it(mistake, files, name):
    assert formatting.row_name(mistake, files) == name


@pytest.mark.parametrize(
    ("value", "shown"), [(0.7599999904632568, "0.76"), (8.98, "8.98"), (3, 3), (None, "missing"), (True, "true")]
)
def test_a_cell_has_no_zeros_that_the_data_does_not_have(value, shown):
    assert formatting.cell(value) == shown


def test_a_long_sequence_is_shown_by_its_first_values_and_their_number():
    assert formatting.cell([0.5] * 20) == [0.5] * 20
    assert formatting.cell([0.5, 1.25] * 600).endswith("0.5, 1.25, … (1,200 values)")
    assert len(formatting.cell(["é"] * 30).split(", ")) == 21
