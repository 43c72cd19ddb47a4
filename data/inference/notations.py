"""The notation of a table's numbers, inferred from all of its columns."""

from collections.abc import Mapping

from data.inference.facts import Column
from data.numerals import PLAIN, Notation
from data.sources.tables import notation

MAX_TESTED_VALUES = 2_000  # values of a column of plain numbers


def apply_notation(columns: Mapping[str, Column]) -> tuple[Notation, list[str]]:
    """Infers the notation of a table's numbers, and parses its columns in it: decimal commas, separators, units.

    Args:
        columns: Name -> facts about the column, from all rows of the table.

    Returns:
        The notation, that of Python where the columns show no other, and warnings that a person should check, a
        sentence each.
    """
    formats = {name: column.number_format for name, column in columns.items() if not column.is_number}
    formats_by_column = {name: number_format for name, number_format in formats.items() if number_format}
    if not formats_by_column:
        return PLAIN, []
    plain_values = [
        numeric_column.values.first(MAX_TESTED_VALUES)
        for numeric_column in columns.values()
        if numeric_column.is_number and not numeric_column.has_typed_numbers
    ]
    shared_notations = notation.common(
        [*formats_by_column.values(), *filter(None, map(notation.recognise, plain_values))]
    )
    if not shared_notations:
        return PLAIN, [f"{', '.join(formats_by_column)}: numbers are written in several ways; write all of them in one"]
    warnings: list[str] = []
    for name, number_format in formats_by_column.items():
        columns[name].set_notation(shared_notations[0], number_format.unit)
    for column in columns.values():
        if not column.is_number:
            column.notation = shared_notations[0]  # in which texts of this column could be numbers
    for other_notation in shared_notations[1:]:
        for name, number_format in formats_by_column.items():
            cell = notation.read_differently(
                columns[name].texts, shared_notations[0], other_notation, number_format.unit
            )
            if cell and not warnings:
                warnings.append(
                    f"{cell} in {name} is taken for {columns[name].number(cell):g}; where it is another number, set "
                    f"data.decimal to {other_notation.decimal!r} and data.thousands to {other_notation.thousands!r}"
                )
    return shared_notations[0], warnings


def settings_of(table_notation: Notation) -> dict[str, str]:
    """Returns the settings of a run file for a notation: those that differ from the plain one."""
    settings = {"decimal": table_notation.decimal, "thousands": table_notation.thousands}
    return {name: mark for name, mark in settings.items() if mark != getattr(PLAIN, name)}
