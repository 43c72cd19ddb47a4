"""Which mutations `make mutants` makes."""

import ast
from pathlib import Path

from tests.mutants.operators import mutations
from tests.mutants.targets import GROUPS, ROOT

SOURCE = '''
LIMIT = 3

@component
def Gate(x: int = 1):
    return x + 1

def least(values: list, limit: int = LIMIT) -> int | None:
    """Returns 1 of 2."""
    if not values or len(values) > limit:
        raise ValueError(f"{len(values) + 1} values")
    return min(values)
'''


def test_mutations_are_those_of_the_code_and_not_of_texts_annotations_and_components():
    changes = [f"{one.before} -> {one.after}" for one in mutations(ast.parse(SOURCE))]

    assert changes == [
        "3 -> 4",
        "not values or len(values) > limit -> not values and len(values) > limit",
        "not values -> values",
        "len(values) > limit -> len(values) >= limit",
        "len(values) > limit -> len(values) <= limit",
        "raise ValueError(f'{len(values) + 1} values') -> pass",
        "len(values) + 1 -> len(values) - 1",
        "1 -> 2",
        "min -> max",
    ]


def test_only_statements_of_functions_wait_until_they_are_called():
    first, *others = mutations(ast.parse(SOURCE))

    assert not first.is_in_function
    assert all(one.is_in_function for one in others)
    assert {tuple(one.statement) for one in others} == {(10,), (11,), (12,)}


def test_all_that_is_named_is_there():
    paths = [path for group in GROUPS for path in (*group.modules, *group.tests)]

    assert [path for path in paths if not Path(ROOT / path).is_file()] == []
    assert len(paths) == len(set(paths))
