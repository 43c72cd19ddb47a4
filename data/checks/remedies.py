"""Settings that would make unusable cells usable."""

import ast
from collections.abc import Iterable, Mapping

from data.numerals import PLAIN
from data.sources.tables.notation import Numbers, common, recognise
from data.spec import DatasetSpec, Feature, NumberFeature, Problem, TargetFeature


def settings_for(problems: Iterable[Problem], spec: DatasetSpec) -> list[str]:
    """Returns settings that make unusable cells usable, such as `data.thousands to "."`; empty where none does.

    Args:
        problems: Some of the cells.
        spec: What the rows hold.
    """
    problems = [problem for problem in problems if problem.column in spec.features]
    with_missing = dict.fromkeys(problem.column for problem in problems if problem.found == "nothing")
    settings = [
        _feature(name, spec.features[name], "optional: true") for name in with_missing if _may_lack(spec.features[name])
    ]
    cells: dict[str, set[str]] = {}
    for problem in problems:
        text = _text(problem.found)
        if text and isinstance(spec.features[problem.column], NumberFeature | TargetFeature):
            cells.setdefault(problem.column, set()).add(text)
    written = {name: numbers for name, texts in cells.items() if (numbers := recognise(texts))}
    return settings + _of_notation(written, spec)


def _of_notation(written: Mapping[str, Numbers], spec: DatasetSpec) -> list[str]:
    """Returns the settings that read columns, each with how its cells are written."""
    shared = common(written.values()) if written else ()
    if not shared:
        return []
    settings = [f'data.decimal to "{shared[0].decimal}"'] if shared[0].decimal != PLAIN.decimal else []
    settings += [f'data.thousands to "{shared[0].thousands}"'] if shared[0].thousands else []
    for name, numbers in written.items():
        feature = spec.features[name]
        if numbers.unit and isinstance(feature, NumberFeature | TargetFeature) and numbers.unit != feature.unit:
            settings.append(_feature(name, feature, f'unit: "{numbers.unit}"'))
    # Cells that are usable already are not known here: they may be written in another notation.
    return [*settings[:-1], f"{settings[-1]} where all numbers are written so"] if settings else []


def _may_lack(feature: Feature) -> bool:
    """Returns whether a setting allows rows without this feature."""
    return "optional" in type(feature).model_fields


def _feature(name: str, feature: Feature, setting: str) -> str:
    return f"data.features.{name} to {{kind: {feature.kind}, {setting}}}"


def _text(found: str) -> str:
    """Returns the cell that a message shows; empty where it is no text, or shortened."""
    try:
        cell = ast.literal_eval(found)
    except (ValueError, SyntaxError):
        return ""
    return cell if isinstance(cell, str) else ""
