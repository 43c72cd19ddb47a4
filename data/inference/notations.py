"""The notation of a table's numbers, inferred from all of its columns."""

from collections.abc import Mapping

from data.inference.facts import Column
from data.numerals import PLAIN, Notation
from data.sources.tables import notation

MAX_LOOKED_AT = 2_000  # values of a column of plain numbers


def read_as_written(columns: Mapping[str, Column]) -> tuple[Notation, list[str]]:
    """Reads columns as numbers in another notation than Python's: decimal commas, thousands separators, units.

    Args:
        columns: Those of a table, all of whose rows have been counted.

    Returns:
        The notation, plain where nothing else is found, and doubts that a person should resolve, a sentence each.
    """
    others = {name: column.written for name, column in columns.items() if not column.is_number}
    written_by_column = {name: written for name, written in others.items() if written}
    if not written_by_column:
        return PLAIN, []
    plain = [one.values.first(MAX_LOOKED_AT) for one in columns.values() if one.is_number and not one.typed]
    shared = notation.common([*written_by_column.values(), *filter(None, map(notation.recognise, plain))])
    if not shared:
        return PLAIN, [f"{', '.join(written_by_column)}: numbers are written in several ways; write all of them in one"]
    doubts: list[str] = []
    for name, written in written_by_column.items():
        columns[name].read_as(shared[0], written.unit)
    for column in columns.values():
        if not column.is_number:
            column.notation = shared[0]  # as they should be written to be some
    for other in shared[1:]:
        for name, written in written_by_column.items():
            cell = notation.read_differently(columns[name].texts, shared[0], other, written.unit)
            if cell and not doubts:
                doubts.append(
                    f"{cell} in {name} is taken for {columns[name].number(cell):g}; where it is another number, set "
                    f"data.decimal to {other.decimal!r} and data.thousands to {other.thousands!r}"
                )
    return shared[0], doubts


def settings_of(table_notation: Notation) -> dict[str, str]:
    """Returns the settings of a run file that say how numbers are written; none for plain ones."""
    settings = {"decimal": table_notation.decimal, "thousands": table_notation.thousands}
    return {name: mark for name, mark in settings.items() if mark != getattr(PLAIN, name)}
