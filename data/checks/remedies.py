"""Suggests settings that would make unusable cells usable."""

import ast
from collections.abc import Iterable, Mapping

from data.numerals import PLAIN
from data.sources.tables.notation import NumberFormat, common, recognise
from data.spec import DatasetSpec, Feature, NumberFeature, Problem, TargetFeature


def settings_for(problems: Iterable[Problem], spec: DatasetSpec) -> list[str]:
    """Returns settings that make unusable cells usable, such as `data.thousands to "."`; empty where none does.

    Args:
        problems: Problems of some of the cells.
        spec: Features of the rows.
    """
    problems = [problem for problem in problems if problem.column in spec.features]
    columns_with_missing = dict.fromkeys(problem.column for problem in problems if problem.found == "nothing")
    settings = [
        _feature_setting(name, spec.features[name], "optional: true")
        for name in columns_with_missing
        if _can_be_optional(spec.features[name])
    ]
    cells: dict[str, set[str]] = {}
    for problem in problems:
        text = _cell_text(problem.found)
        if text and isinstance(spec.features[problem.column], NumberFeature | TargetFeature):
            cells.setdefault(problem.column, set()).add(text)
    formats = {name: number_format for name, texts in cells.items() if (number_format := recognise(texts))}
    return settings + _notation_settings(formats, spec)


def _notation_settings(formats: Mapping[str, NumberFormat], spec: DatasetSpec) -> list[str]:
    """Returns the settings for columns with these number formats."""
    notations = common(formats.values()) if formats else ()
    if not notations:
        return []
    settings = [f'data.decimal to "{notations[0].decimal}"'] if notations[0].decimal != PLAIN.decimal else []
    settings += [f'data.thousands to "{notations[0].thousands}"'] if notations[0].thousands else []
    for name, number_format in formats.items():
        feature = spec.features[name]
        if (
            number_format.unit
            and isinstance(feature, NumberFeature | TargetFeature)
            and number_format.unit != feature.unit
        ):
            settings.append(_feature_setting(name, feature, f'unit: "{number_format.unit}"'))
    # The usable cells, which are not among the problems, may be written in another notation.
    return [*settings[:-1], f"{settings[-1]} where all numbers are written so"] if settings else []


def _can_be_optional(feature: Feature) -> bool:
    """Returns whether a setting allows rows without this feature."""
    return "optional" in type(feature).model_fields


def _feature_setting(name: str, feature: Feature, setting: str) -> str:
    return f"data.features.{name} to {{kind: {feature.kind}, {setting}}}"


def _cell_text(shown_cell: str) -> str:
    """Returns the text of the cell that a message shows; empty where it is not text, or was shortened."""
    try:
        cell = ast.literal_eval(shown_cell)
    except (ValueError, SyntaxError):
        return ""
    return cell if isinstance(cell, str) else ""
