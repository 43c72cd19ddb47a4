"""Webhooks that stand in a run file as they are: records hide them, so one private file keeps them for later messages.

What a run publishes may be taken back, and told of, weeks after the run.
"""

import json
from collections.abc import Sequence
from typing import Any

from data.files import atomic
from data.secrets import hide
from pipeline.core.config import Notify
from pipeline.core.paths import PipelinePaths


def keep(paths: PipelinePaths, channels: Sequence[Notify]) -> None:
    """Keeps the webhooks of a run's settings that its record hides."""
    hidden = {hide(one.webhook): one.webhook for one in channels if one.webhook and hide(one.webhook) != one.webhook}
    if hidden:
        atomic.write(paths.webhooks, json.dumps({**_kept(paths), **hidden}), mode=0o600)


def channels(paths: PipelinePaths, run: str) -> list[Notify]:
    """Returns whom a run's settings name under `notify`; nobody where it left no record."""
    kept = _kept(paths)
    try:
        # Not by RunRecord.read, which hides what the record of an earlier release shows.
        named: list[dict[str, Any]] = json.loads(paths.record(run).read_text())["settings"].get("notify", [])
    except (OSError, ValueError, KeyError):
        return []
    return [Notify.model_validate({**one, "webhook": kept.get(str(one.get("webhook")), one.get("webhook"))})
            for one in named]  # fmt: skip


def _kept(paths: PipelinePaths) -> dict[str, str]:
    """Returns the words that stand for a webhook -> the webhook."""
    return json.loads(paths.webhooks.read_text()) if paths.webhooks.exists() else {}
