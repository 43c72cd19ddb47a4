"""Run files: an input is YAML text; the lines after a line `--set` are overrides."""

import json

from benchmarks.fuzzing.findings import Finding

MODULES = (
    "yaml.scanner", "yaml.parser", "yaml.composer", "yaml.resolver", "yaml.constructor", "yaml.reader",
    "pipeline.core.config.run_file", "pipeline.core.config.messages", "pipeline.core.config.settings", "data.config",
    "models.config", "models.registry",
)  # fmt: skip
MARK = "\n--set\n"
WORDS = (
    "task: ", "data: ", "model: ", "train: ", "evaluate: ", "thresholds: ", "publish: ", "notify: ", "serving: ",
    "tabular_classification", "image_classification", "files: ", "features: ", "kind: ", "checks: ", "challenge: off",
    "!!timestamp ", "!!binary ", "!!set ", "!!omap ", "!!python/name:os.system", "2001-99-99", "1:99:99", "0x", "0b",
    "&a ", "*a", "<<: ", "? ", "{", "}", "[", "]", "|-\n", ">-\n", "---\n", "...\n", "%YAML 1.1\n", ".inf", ".nan",
    "~", "null", "1e400", "--set", "train.epochs=3", "a.b=", "\ufeff", "\x85",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Returns the run files that ship with Headrace, one with overrides, and some with rare keys."""
    from pipeline.core.config.named import CONFIGS

    shipped = [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.yaml"))]
    overrides = "train.epochs=3\nevaluate.challenge=off\nmodel={}\nnotify=[{file: a}]"
    others = [
        "task: tabular_classification\ndata:\n  files: '*.csv'\n  features: {a: number, b: category, "
        "c: {kind: label, classes: ['no', 'yes']}}\nnotify:\n- {webhook: 'https://a.b/c', on: [failure]}\n"
        "- {email: {to: [a@b.c], host: d, password: '${SECRET}'}}\n",
        "task: digits\n? [a, b]\n: &a {c: *a}\n",
        "task: !!str image_classification\ndata: {name: digits, checks: {duplicates: {max_rate: 1e-2}}}\nseed: 0x1F\n",
    ]
    return [text.encode() for text in (*shipped, shipped[0] + MARK + overrides, *others)]


class Target:
    """Reads settings: only ConfigError may be raised, and settings must survive a round trip."""

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, content: bytes) -> None:
        """Reads one run file."""
        from data.errors import ConfigError
        from pipeline.core import config

        text, _, overrides = content.decode(errors="replace").partition(MARK)
        try:
            settings = config.parse(text, "fuzzed.yaml", overrides.splitlines())
        except ConfigError as error:
            str(error).encode()
            return
        written = json.dumps(settings.model_dump(mode="json"))
        if config.parse(written, "again.yaml").model_dump() != settings.model_dump():
            raise Finding("settings do not survive a round trip")
