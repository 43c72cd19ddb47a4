"""A run with nothing to do is told apart from the others without TensorFlow, TFX or Beam.

A run that was published leaves behind what it was made of. A run that is made of the same, finds all that came of it
as it was left, and the version still the newest, would come to the same: every stage would be taken from the cache.
"""

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from components.manifests import damage
from data import whole
from data.errors import HeadraceError
from models.serving.versions import last_version, read_manifest
from pipeline.config import NamedConfig
from pipeline.fingerprint import code_and_packages
from pipeline.places import Places
from pipeline.records import UNFINISHED


def identity(named: NamedConfig, places: Places) -> str:
    """Returns a digest of all that decides what a run comes to: settings, data, code, packages and places."""
    facts = [
        named.config.model_dump(mode="json"),
        str(named.base),
        named.dataset.digest(),
        code_and_packages(),
        str(places.runs),
        str(places.serving),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def remember(places: Places, made_of: str, facts: dict[str, Any]) -> None:
    """Writes down what a published run was made of, and what came of it."""
    version = last_version(places.serving)
    digest = read_manifest(places.serving / str(version)).get("digest")
    found = {"identity": made_of, "version": version, "digest": digest, "facts": facts}
    whole.write(places.last, json.dumps(found))


def forget(places: Places) -> None:
    """Forgets the last run: whatever happens from now on may change what it left."""
    places.last.unlink(missing_ok=True)


def recall(places: Places, made_of: str) -> dict[str, Any] | None:
    """Returns what came of the last run, if it was made of the same and all is as it was left; else None."""
    try:
        last = json.loads(places.last.read_text())
        same = last["identity"] == made_of and last_version(places.serving) == last["version"]
        if not same or read_manifest(places.serving / str(last["version"])).get("digest") != last["digest"]:
            return None
        outputs = [Path(folder) for stage in last["facts"]["stages"] for folder in stage["outputs"].values()]
    except (OSError, ValueError, KeyError, HeadraceError):
        return None
    if any(damage(folder) for folder in outputs):
        return None
    with contextlib.closing(sqlite3.connect(places.database)) as database:
        query = f"select count(*) from Execution where last_known_state in {UNFINISHED}"
        ((unfinished,),) = database.execute(query).fetchall()
    return None if unfinished else last["facts"]
