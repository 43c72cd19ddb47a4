from datetime import date

import pytest

from data.inference.facts import survey
from data.inference.guesses import guess_input, guess_label
from data.inference.notations import apply_notation
from data.spec import SequenceFeature
from tests.data.as_block import block_of, block_of_rows


def _column(cells):
    return survey([block_of({"c": list(cells)})])["c"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1.5", "2", "-3e4"] * 10, "number"),
        ([1, 2.5, None] * 10, "number"),
        (["yes", "no", "", "yes"] * 10, "boolean"),
        ([True, False] * 10, "boolean"),
        (["2024-01-31", "2023-12-01"] * 10, "date"),
        (["31.01.2024 10:00", "01.12.2023 23:59"] * 10, "date"),
        ([date(2024, 1, 31), date(2023, 2, 1)] * 10, "date"),
        (["rot", "grün", "青"] * 10, "category"),
        ([f"this is remark number {i} of a customer" for i in range(50)], "text"),
        (["12", "13", "14", "15", "16", "unbekannt"] * 10, "category"),
    ],
)
def test_the_kind_of_a_column_follows_from_its_cells(cells, kind):
    assert guess_input(_column(cells)).feature.kind == kind


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([f"{i:08x}-a" for i in range(100)], "as an identifier has"),
        (list(range(1, 101)), "as an identifier has"),
        (["same"] * 30, "every row has 'same'"),
        ([{"city": "Oslo"}, None, {"city": "Rome"}] * 10, "its cells hold lists or objects"),
        ([[1, 2], {"a": 1}] * 10, "its cells hold lists or objects"),
        ([[[1, 2], [3, 4]]] * 10, "its cells hold lists or objects"),
        ([[1, None], [3]] * 10, "its cells hold lists or objects"),
        ([[], None] * 10, "no row has a value"),
        (["", None, "NA"] * 10, "no row has a value"),
        ([f"name {i}" for i in range(30)] + [f"name {i}" for i in range(10)], "30 different values in 40 rows"),
    ],
)
def test_useless_columns_are_left_out_with_the_reason(cells, reason):
    guess = guess_input(_column(cells))

    assert guess.feature is None
    assert reason in guess.reason


@pytest.mark.parametrize(
    ("cells", "feature", "reason"),
    [
        ([[1, 2.5], [3]] * 10, SequenceFeature(max_length=2), "lists of 1 to 2 numbers"),
        ([[1, 2], [], None] * 10, SequenceFeature(max_length=2, optional=True), "lists of 2 numbers"),
        ([["a"], ["b", "a"]] * 10, SequenceFeature(of="category", max_length=2), "lists of 1 to 2 texts"),
        (
            [[1], [0] * 1_200] * 10,
            SequenceFeature(max_length=1_000, too_long="first"),
            "lists of 1 to 1,200 numbers, of which the first 1,000 are kept",
        ),
    ],
)
def test_lists_of_one_kind_are_a_sequence(cells, feature, reason):
    guess = guess_input(_column(cells))

    assert (guess.feature, guess.reason) == (feature, reason)


def test_missing_values_make_a_column_optional_and_their_markers_are_kept():
    column = _column(["1", "NA", "?", "2"] * 10)

    assert guess_input(column).feature.optional
    assert dict(column.missing) == {"NA": 10, "?": 10}
    assert not guess_input(_column(["1", "2"] * 10)).feature.optional


def test_an_ambiguous_date_format_is_unsure():
    guess = guess_input(_column(["01/02/2024", "03/04/2024"] * 10))

    assert guess.feature.kind == "date"
    assert guess.unsure


def test_seconds_since_1970_are_a_date_where_the_name_says_so():
    records = [{"created_at": 1_700_000_000 + i * 977, "amount": 1_700_000_000 + i * 977} for i in range(40)]
    columns = survey([block_of_rows(records)])

    assert guess_input(columns["created_at"]).feature.format == "unix"
    assert guess_input(columns["amount"]).feature.kind == "number"


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["ham"] * 20 + ["spam"] * 10, "label", ("ham", "spam")),
        (["yes"] * 20 + ["no"] * 10, "label", ("no", "yes")),  # yes is the positive class, though it is more frequent
        (["1", "0"] * 10, "label", ("0", "1")),
        (["2", "10", "1"] * 10, "label", ("1", "2", "10")),
        (["кот", "собака", "кот"] * 10, "label", ("кот", "собака")),
        ([str(i / 7) for i in range(40)], "target", None),
        ([str(i) for i in range(40)], "target", None),
    ],
)
def test_a_label_is_classes_or_a_number(cells, kind, classes):
    feature = guess_label(_column(cells)).feature

    assert feature.kind == kind
    assert classes is None or feature.classes == classes


@pytest.mark.parametrize(
    ("cells", "span"),
    [
        ([326, 18823, 400], "326 to 18,823"),
        ([1900, 2022, 1950], "1900 to 2022"),  # years
        ([0.25, 1.5, 1], "0.25 to 1.5"),
        ([999999998.851, 1000000004.076, 1e9], "999999998.851 to 1000000004.08"),
    ],
)
def test_the_range_of_a_target_has_enough_digits_to_distinguish_its_ends(cells, span):
    assert guess_label(_column(cells * 5), "target").reason == span


def test_a_class_has_the_name_that_readers_give_it():
    """The readers do not take true for True, but 3.0 for 3: pandas writes integers so next to missing values."""
    assert guess_label(_column([True, False] * 10)).feature.classes == ("false", "true")
    assert guess_label(_column([1.0, 2.0, None] * 10)).feature.classes == ("1", "2")


def test_more_than_100_classes_are_taken_with_several_rows_of_each():
    many, rare = [f"sku{i % 150}" for i in range(450)], [f"sku{i % 150}" for i in range(449)]

    assert len(guess_label(_column(many)).feature.classes) == 150
    assert guess_label(_column(rare)).reason == (
        "it has 150 different values in 449 rows, and a label of more than 100 classes has 3 rows of each on average"
    )


def test_the_kind_of_the_label_can_be_set():
    integers, words = _column([str(i % 20) for i in range(200)]), _column(["a", "b"] * 20)

    assert guess_label(integers).feature.kind == "target"
    assert len(guess_label(integers, "label").feature.classes) == 20
    assert guess_label(integers, "target").feature.kind == "target"
    assert guess_label(words, "target").reason == "a target is a finite number in every row, and it has 'a'"
    assert guess_label(_column([1.5, float("inf")] * 20), "target").reason.endswith("and it has infinity")


CHINESE = ("今天天气很好我们一起去公园散步吧", "这家餐厅的菜太咸了服务也不周到", "房间干净早餐丰富下次还会再来")
JAPANESE = ("この映画はとても面白かったのでまた見たいです", "料理が冷めていて残念でした", "駅から近くて便利な宿でした")
THAI = ("อาหารอร่อยมากและบริการดี", "ห้องพักสกปรกและมีเสียงดังทั้งคืน", "ราคาแพงเกินไปสำหรับคุณภาพนี้")
ARABIC = ("كان الطعام لذيذا والخدمة سريعة جدا", "الغرفة صغيرة والضوضاء لا تحتمل ليلا", "سعر مناسب وموقع قريب من المحطة")
HINDI = ("खाना बहुत अच्छा था और सेवा तेज थी", "कमरा छोटा था और बहुत शोर था", "दाम ठीक है और जगह पास में है")


@pytest.mark.parametrize("texts", [CHINESE, JAPANESE, THAI, ARABIC, HINDI])
def test_a_text_is_recognised_in_any_script(texts):
    column = _column([f"{texts[i % 3]}{i}" for i in range(60)])

    assert guess_input(column).feature.kind == "text"


@pytest.mark.parametrize(
    "cells",
    [
        [
            "b7e23ec2-9af2-4e61-8a1e-{:012x}",
            "5d41402abc4b2a76b9719d911017{:04x}",
            "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ{:04}",
        ],
        ["AB-{:04}-X", "DE89 3704 0044 0532 01{:02} 00", "+49 30 1234 {:04}"],
        ["ann.{}@example.org", "https://example.org/products/{}?ref=home-page", "张伟{}", "สมชาย{}"],
    ],
)
def test_a_code_a_hash_an_address_or_a_short_name_is_an_identifier(cells):
    for cell in cells:
        guess = guess_input(_column([cell.format(i) for i in range(60)]))

        assert guess.feature is None, cell
        assert guess.reason == "every row has a value of its own, as an identifier has"


@pytest.mark.parametrize(
    "names",
    [
        ["北京市朝阳区建国路", "上海市浦东新区世纪大道", "广州市天河区体育西路"],
        ["Wireless Mouse with two buttons", "Mechanical keyboard in black and red", "Screen of 27 inches with stand"],
        ["กรุงเทพมหานคร", "เชียงใหม่", "นครราชสีมา"],
    ],
)
def test_repeated_names_are_categories(names):
    assert guess_input(_column(names * 20)).feature.kind == "category"


def test_texts_of_more_rows_than_are_counted_are_texts():
    column = _column([f"the review with number {i} of a guest" for i in range(20_100)])

    assert column.has_too_many_values
    assert guess_input(column).feature.kind == "text"


def test_codes_and_days_written_as_numbers_become_categories_and_dates():
    zips = guess_input(_column([f"{i % 40 * 2417:05}" for i in range(400)]))
    accounts = guess_input(_column([str(9007199254741000 + i % 50) for i in range(400)]))
    days = guess_input(_column([f"2024{i % 12 + 1:02}{i % 28 + 1:02}" for i in range(400)]))
    revenue = guess_input(_column([str(1_000_000 + i * 48_611) for i in range(400)]))

    assert (zips.feature.kind, zips.reason) == ("category", "40 values; numbers with leading zeros are codes")
    assert (accounts.feature.kind, accounts.unsure) == ("category", False)
    assert (days.feature.kind, days.feature.format) == ("date", "%Y%m%d")
    assert revenue.feature.kind == "number"


@pytest.mark.parametrize("kind", [str, int])
def test_whole_numbers_of_twelve_digits_and_more_that_are_all_different_are_identifiers(kind):
    long = [kind(4_000_000_000_000_000 + i * 7_919_000_003 % 10**15) for i in range(400)]
    account, sent = _column(long), _column(long)
    sent.name = "sent_at"

    assert guess_input(account).feature is None
    assert "as an identifier has" in guess_input(account).reason
    assert "data.ignore" in guess_input(account).remedy
    assert guess_input(sent).feature.kind == "number"  # microseconds since 1970
    assert guess_input(_column([kind(int(cell) // 10**5) for cell in map(int, long)])).feature.kind == "number"
    assert guess_input(_column([cell for cell in long[:200] for _ in range(2)])).feature.kind == "number"


def test_numbers_in_a_notation_of_their_own_are_numbers_with_their_unit():
    columns = survey([block_of({"price": ["1.234,50 €", "0,99 €"] * 20, "share": ["3,5 %", "12 %"] * 20})])

    notation, doubts = apply_notation(columns)

    assert (notation, doubts) == ((",", "."), [])
    assert [guess_input(column).feature.unit for column in columns.values()] == ["€", "%"]
    assert (columns["price"].minimum, columns["price"].maximum, columns["price"].integers) == (0.99, 1234.5, 0)


def test_unsupported_numbers_are_reported_in_the_notation_of_the_table():
    cells = {
        "age": ["26,5", "31"] * 20,
        "price": ["1.234,50 €", "12.000,00 EUR", "0,5 €", "7 €"] * 10,
        "share": ["3,5%", "0,035"] * 20,
        "loss": ["(12,50)", "4,0"] * 20,
    }
    columns = survey([block_of(cells)])

    apply_notation(columns)

    guesses = {name: (guess_input(column).reason, guess_input(column).remedy) for name, column in columns.items()}
    assert guesses["price"] == (
        "its cells are numbers with several units, such as '1.234,50 €' and '12.000,00 EUR'",
        "convert them in the data to one unit, such as 1234,5 €",
    )
    assert guesses["share"] == (
        "some of its numbers have % and some have none, such as '3,5%' and '0,035'",
        "write % beside all of them in the data, or beside none",
    )
    assert guesses["loss"][1] == "convert them in the data, to such as 1234,5"


def test_dashes_instead_of_decimals_are_parsed():
    columns = survey([block_of({"price": [f"{i},- €" for i in range(94)], "fine": ["CHF 12.-", "CHF 7.--"] * 47})])
    prices, fines = ({name: columns[name]} for name in columns)

    assert (apply_notation(prices)[0].decimal, apply_notation(fines)[0].decimal) == (",", ".")
    assert [guess_input(column).feature.unit for column in columns.values()] == ["€", "CHF"]
    assert (columns["price"].minimum, columns["price"].maximum) == (0, 93)


def test_the_few_cells_that_are_no_numbers_among_decimal_commas_are_named():
    cells = [f"{i},{i % 10}" for i in range(600)] + ["k.A."] * 11 + ["", "-"]
    columns = survey([block_of({"kg": cells, "price": [f"{i % 50},5" for i in range(613)]})])
    apply_notation(columns)

    guess = guess_input(columns["kg"])

    assert guess.feature is None
    assert guess.reason == "11 of its 611 values are no numbers such as 1234,5: 'k.A.'"
    assert guess.remedy == (
        "if they mark missing values, add them to data.missing_values and "
        "put the column into data.features, not data.ignore, as {kind: number, optional: true}"
    )


def test_the_few_cells_that_are_no_numbers_name_the_settings_that_the_numbers_need():
    guess = guess_input(_column([f"{i},5 kg" for i in range(100)] + ["k.A.", "n.b.", "k.A."]))

    assert guess.reason == "3 of its 103 values are no numbers such as 1234,5 kg: 'k.A.', 'n.b.'"
    assert guess.remedy.endswith(
        "add them to data.missing_values and set data.decimal to ',' and "
        "put the column into data.features, not data.ignore, as {kind: number, unit: 'kg', optional: true}"
    )


def test_a_target_names_its_few_cells_that_are_no_numbers():
    guess = guess_label(_column([f"{i},5" for i in range(100)] + ["k.A."]), "target")

    assert guess.feature is None
    assert guess.reason == (
        "a target is a number in every row, and 1 of its 101 values is no number such as 1234,5: 'k.A.'; "
        "leave them empty in the data"
    )


@pytest.mark.parametrize(("count", "others"), [(100, "k.A."), (20_100, "other cells")])
def test_the_few_cells_that_are_no_numbers_among_plain_numbers_are_named(count, others):
    guess = guess_input(_column([f"{i}.5" for i in range(count)] * 2 + ["k.A."]))  # 20,001 values are kept

    assert guess.reason == f"nearly all numbers, but also {others}"
    assert guess.remedy == (
        "if they mark missing values, add them to data.missing_values and set it to {kind: number, optional: true}"
    )
