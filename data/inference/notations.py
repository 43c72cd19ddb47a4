"""How a table writes its numbers, told by all of its columns."""

from collections.abc import Mapping

from data.inference.facts import Column
from data.numerals import PLAIN, Notation
from data.sources.tables import notation

MAX_LOOKED_AT = 2_000  # values of a column of plain numbers


def read_as_written(columns: Mapping[str, Column]) -> tuple[Notation, list[str]]:
    """Takes columns for numbers that a table writes in another way than Python: decimal commas, thousands, units.

    Args:
        columns: Those of a table, all of whose rows have been counted.

    Returns:
        The notation, plain where nothing else is found, and what a person should look at, a sentence each.
    """
    others = {name: column.written for name, column in columns.items() if not column.is_number}
    found = {name: written for name, written in others.items() if written}
    if not found:
        return PLAIN, []
    plain = [one.values.first(MAX_LOOKED_AT) for one in columns.values() if one.is_number and not one.typed]
    shared = notation.common([*found.values(), *filter(None, map(notation.recognise, plain))])
    if not shared:
        return PLAIN, [f"{', '.join(found)}: numbers are written in several ways; write all of them in one"]
    doubts: list[str] = []
    for name, written in found.items():
        columns[name].read_as(shared[0], written.unit)
    for column in columns.values():
        if not column.is_number:
            column.notation = shared[0]  # as they should be written to be some
    for other in shared[1:]:
        for name, written in found.items():
            cell = notation.read_differently(columns[name].texts, shared[0], other, written.unit)
            if cell and not doubts:
                doubts.append(
                    f"{cell} in {name} is taken for {columns[name].number(cell):g}; where it is another number, set "
                    f"data.decimal to {other.decimal!r} and data.thousands to {other.thousands!r}"
                )
    return shared[0], doubts


def settings_of(found: Notation) -> dict[str, str]:
    """Returns the settings of a run file that say how numbers are written; none for plain ones."""
    settings = {"decimal": found.decimal, "thousands": found.thousands}
    return {name: mark for name, mark in settings.items() if mark != getattr(PLAIN, name)}
