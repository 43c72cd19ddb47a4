"""`python -m benchmarks.fuzzing TARGET FOLDER -max_total_time=600`: fuzzes here, with libFuzzer's options."""

import importlib
import logging
import os
import sys
from pathlib import Path

import atheris

from benchmarks.fuzzing.findings import Findings


def main() -> None:
    """Fuzzes one target until libFuzzer ends the process."""
    name, folder, *options = sys.argv[1:]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.disable(logging.WARNING)
    module = importlib.import_module(f"benchmarks.fuzzing.{name}")
    with atheris.instrument_imports(include=list(module.MODULES)):
        for name_of_module in module.MODULES:
            importlib.import_module(name_of_module)
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(module.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = Path(folder) / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in module.WORDS))
    target = Findings(module.Target(), Path(folder))
    limits = ["-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1", "-report_slow_units=2", "-max_len=4096"]
    atheris.Setup(
        ["fuzz", str(corpus), f"-dict={words}", f"-artifact_prefix={folder}/", *limits, *options], target
    )  # fmt: skip
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02X}" for byte in word.encode(errors="surrogateescape"))


if __name__ == "__main__":
    main()
