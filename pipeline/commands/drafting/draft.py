"""What `headrace new` infers from a person's data."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.inference import Guess


@dataclass
class Draft:
    """A run file in the making.

    Attributes:
        task: Name of the task.
        files: Path of the data.
        rows: How many there are.
        features: Column -> what it is taken for, the label last.
        ignored: Column -> why it is not used.
        data: Further settings of the data.
        model: Settings of the task.
        unsure: What a person should look at, a sentence each.
    """

    task: str
    files: Path
    rows: int = 0
    features: dict[str, Guess] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
