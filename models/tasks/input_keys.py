"""Names of the inputs of the signature `columns`, one for each column of the data. Loads no TensorFlow."""

import hashlib
import keyword
from collections import Counter

from data.spec import DatasetSpec


def input_keys(spec: DatasetSpec) -> dict[str, str]:
    """Returns for each input column the name of its tensor in the signature `columns`.

    TensorFlow takes ASCII letters, digits and underscores, and no two names that differ in case alone. A name depends
    on no order: columns whose names would be equal all get a suffix, eight digits of their own name's SHA-256.
    """
    keys = {name: _identifier(name) for name, feature in spec.features.items() if not feature.target}
    counts = Counter(key.lower() for key in keys.values())
    return {name: key if counts[key.lower()] == 1 else f"{key}_{_digest(name)}" for name, key in keys.items()}


def _identifier(name: str) -> str:
    key = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    key = key if key[:1].isalpha() else f"c{key}"
    return f"{key}_" if keyword.iskeyword(key) or key == "self" else key


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
