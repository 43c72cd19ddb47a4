"""Settings by which cells could be used that cannot be used as they are."""

import ast
from collections.abc import Iterable, Mapping

from data.numerals import PLAIN
from data.sources.tables.notation import Numbers, common, recognise
from data.spec import DatasetSpec, Feature, NumberFeature, Problem, TargetFeature


def settings_for(problems: Iterable[Problem], spec: DatasetSpec) -> list[str]:
    """Returns what to set so that cells can be used, such as `data.thousands to "."`; empty where nothing helps.

    Args:
        problems: Some of the cells.
        spec: What the rows hold.
    """
    problems = [one for one in problems if one.column in spec.features]
    lacking = dict.fromkeys(one.column for one in problems if one.found == "nothing")
    found = [
        _feature(name, spec.features[name], "optional: true") for name in lacking if _may_lack(spec.features[name])
    ]
    cells: dict[str, set[str]] = {}
    for one in problems:
        text = _text(one.found)
        if text and isinstance(spec.features[one.column], NumberFeature | TargetFeature):
            cells.setdefault(one.column, set()).add(text)
    written = {name: numbers for name, texts in cells.items() if (numbers := recognise(texts))}
    return found + _of_notation(written, spec)


def _of_notation(written: Mapping[str, Numbers], spec: DatasetSpec) -> list[str]:
    """Returns the settings that read columns, each with how its cells are written."""
    shared = common(written.values()) if written else ()
    if not shared:
        return []
    found = [f'data.decimal to "{shared[0].decimal}"'] if shared[0].decimal != PLAIN.decimal else []
    found += [f'data.thousands to "{shared[0].thousands}"'] if shared[0].thousands else []
    for name, numbers in written.items():
        feature = spec.features[name]
        if numbers.unit and isinstance(feature, NumberFeature | TargetFeature) and numbers.unit != feature.unit:
            found.append(_feature(name, feature, f'unit: "{numbers.unit}"'))
    # Of the other cells, which can be used as they are, nothing is known here.
    return [*found[:-1], f"{found[-1]} where all numbers are written so"] if found else []


def _may_lack(feature: Feature) -> bool:
    """Returns whether a setting allows rows without this feature."""
    return "optional" in type(feature).model_fields


def _feature(name: str, feature: Feature, setting: str) -> str:
    return f"data.features.{name} to {{kind: {feature.kind}, {setting}}}"


def _text(found: str) -> str:
    """Returns the cell that a message shows; empty where it is no text, or cut."""
    try:
        cell = ast.literal_eval(found)
    except (ValueError, SyntaxError):
        return ""
    return cell if isinstance(cell, str) else ""
