"""A private file with the webhooks of run files, which run records hide.

Later notifications need them: a canary may be taken back weeks after the run that published it.
"""

import json
from collections.abc import Sequence
from typing import Any

from data.files import atomic
from data.secrets import hide
from pipeline.core.config import Notify
from pipeline.core.paths import PipelinePaths


def keep(paths: PipelinePaths, channels: Sequence[Notify]) -> None:
    """Stores the webhooks of the channels that a run record hides."""
    urls = [channel.webhook for channel in channels if channel.webhook]
    hidden = {hide(url): url for url in urls if hide(url) != url}
    if hidden:
        atomic.write(paths.webhooks, json.dumps({**_stored(paths), **hidden}), mode=0o600)


def channels(paths: PipelinePaths, run: str) -> list[Notify]:
    """Returns the channels under `notify` in a run's settings; empty if the run has no record."""
    webhooks = _stored(paths)
    try:
        # Not RunRecord.read, which hides webhooks in records of earlier releases.
        settings: list[dict[str, Any]] = json.loads(paths.record(run).read_text())["settings"].get("notify", [])
    except (OSError, ValueError, KeyError):
        return []
    return [
        Notify.model_validate({**channel, "webhook": webhooks.get(str(channel.get("webhook")), channel.get("webhook"))})
        for channel in settings
    ]


def _stored(paths: PipelinePaths) -> dict[str, str]:
    """Returns hidden form -> webhook."""
    return json.loads(paths.webhooks.read_text()) if paths.webhooks.exists() else {}
