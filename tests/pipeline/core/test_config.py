import subprocess
import sys

import pytest

from data.errors import ConfigError
from pipeline.core import config
from tests.waiting import PATIENCE_S

DIGITS = "task: image_classification\ndata: {name: digits}\n"
# Nested aliases of ten values each, eight levels deep: 10^9 values in 300 characters.
TABLE = "task: tabular_regression\ndata: {files: a.csv, "
BOMB = "".join(f", &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))
BOMB = f"[&a0 [1,1,1,1,1,1,1,1,1,1]{BOMB}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DIGITS + "train: {epoch: 3}", r"run\.yaml:3: Unknown key in train 'epoch'\. Did you mean 'epochs'\?"),
        (DIGITS + "trian: {}", r"run\.yaml:3: Unknown key 'trian'\. Did you mean 'train'\?"),
        (DIGITS + "train:\n  seed: 1\n  epochs: 0", r"run\.yaml:5: train\.epochs: expected greater than 0, found 0\."),
        (
            DIGITS + "train: {epochs: three}",
            r"run\.yaml:3: train\.epochs: expected a valid integer, .*found \"three\"\.",
        ),
        (DIGITS + "train: {optimizer: adamm}", r"train\.optimizer: expected one of .*Did you mean 'adam'\?"),
        (DIGITS + "model: {activation: rellu}", r"model\.activation: .*Did you mean 'relu'\?"),
        (DIGITS + "model: {filters: []}", r"model\.filters: expected .* at least 1 item"),
        (
            DIGITS + "evaluate: {thresholds: {accuracy: {mim: 1}}}",
            r"Unknown key in evaluate\.thresholds\.accuracy 'mim'",
        ),
        (DIGITS + "notify: [{fil: a}]", r"Unknown key in notify\.0 'fil'\. Did you mean 'file'\? Keys: file, email, "),
        (
            TABLE + "features: {a: {kind: numbr}}}",
            r"data\.features\.a\.kind: expected one of boolean, .*; found \"numbr\"\. Did you mean 'number'\?",
        ),
        (TABLE + "features: {a: {min: 1}}}", r"data\.features\.a\.kind is missing; expected one of boolean, "),
        (
            TABLE + "features: {a: {kind: number, minn: 1}}}",
            r"Unknown key in data\.features\.a\.number 'minn'\. Did you mean 'min'\? Keys: optional, kind, min, max, u",
        ),
        (DIGITS + "evaluate: {thresholds: {accuracy: {}}}", "expected one bound, either min or max"),
        (
            DIGITS + "train: {early_stopping: {patient: 1}}",
            r"Unknown key in train\.early_stopping 'patient'\. Did you mean 'patience'",
        ),
        ("data: {name: digits}", r"run\.yaml: task is missing; tasks: image_classification"),
        (
            "task: image_clasification\ndata: {name: digits}",
            r"run\.yaml:1: Unknown task .*Did you mean 'image_classification'",
        ),
        ("task: image_classification", r"run\.yaml: data is missing\."),
        (DIGITS + "train: {epochs: 1", r"run\.yaml:3: not valid YAML"),
        (DIGITS + 'notify: [{file: "\\ud83d"}]', r"run\.yaml:3: '\\ud83d' holds half of a surrogate pair"),
        (DIGITS + "seed: 1\nseed: 2", r"run\.yaml:4: key 'seed' stands twice"),
        ("- a\n- b", r"run\.yaml:1: expected `key: value` lines, found list"),
        ("", r"run\.yaml:1: expected `key: value` lines, found NoneType"),
        (DIGITS + "seed: -1", r"run\.yaml:3: seed: expected greater than or equal to 0, found -1"),
        (DIGITS + "notify: [{file: a, file: b}]", r"run\.yaml:3: key 'file' stands twice"),
        (DIGITS + "seed: 2026-02-30", r"run\.yaml:3: not valid YAML: '2026-02-30' cannot be read as timestamp\."),
        (DIGITS + "seed: " + "9" * 5000, r"run\.yaml:3: not valid YAML: '9{40}' cannot be read as int\."),
        *(
            (DIGITS + f"seed: !!{kind} on", rf"run\.yaml:3: not valid YAML: 'on' cannot be read as {kind}\.")
            for kind in ("int", "float", "timestamp")
        ),
        (DIGITS + "seed: !!bool x", r"run\.yaml:3: not valid YAML: 'x' cannot be read as bool\."),
        (DIGITS + "seed: !!int ''", r"run\.yaml:3: not valid YAML: '' cannot be read as int\."),
        ("!!set\ntask: a", r"run\.yaml:1: expected `key: value` lines, found set"),
        (DIGITS + "seed: {2026-01-01: 3}", r"run\.yaml:3: seed: expected a valid integer, found "),
        (
            DIGITS + "seed: &a {b: [*a]}",
            r"run\.yaml:3: an alias stands inside of what it names; write the values out\.",
        ),
        (DIGITS + "seed: " + "[" * 1000, r"run\.yaml: sections or lists are nested too deeply\."),
        (DIGITS + f"seed: {BOMB}", r"run\.yaml:3: expected at most 1,000,000 values, aliases written out, found 1,1"),
        ("task: [a]", r"run\.yaml:1: Unknown task \['a'\]"),
    ],
)
def test_a_bad_setting_is_refused_with_position_and_expected_value(text, message):
    with pytest.raises(ConfigError, match=message):
        config.parse(text, "run.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: image_classification\ndata: {name: digit}", r"Unknown data set 'digit'\. Did you mean 'digits'\?"),
        ("task: image_classification\ndata: {name: digits, source: tdfs}", r"Unknown source 'tdfs'"),
        (
            DIGITS + "evaluate: {thresholds: {acuracy: {min: 0.9}}}",
            r"Unknown metric 'acuracy'\. Did you mean 'accuracy'\?",
        ),
        (DIGITS + "evaluate: {thresholds: {accuracy: {min: 92}}}", r"accuracy\.min: expected from 0 to 1, found 92\."),
        (
            DIGITS + "evaluate: {thresholds: {accuracy: {max: 0.3}}}",
            r"evaluate\.thresholds\.accuracy: expected min, since a higher accuracy is better, found max\.",
        ),
        (
            DIGITS + "evaluate: {thresholds: {recall@3: {max: 0.3}}}",
            r"evaluate\.thresholds\.recall@3: expected min, since a higher recall@3 is better, found max\.",
        ),
        (
            DIGITS + "evaluate: {thresholds: {loss: {min: 0.0}}}",
            r"evaluate\.thresholds\.loss: expected max, since a lower loss is better, found min\.",
        ),
        (
            DIGITS + "train: {batch_size: 5000}",
            r"batch_size: expected at most 1,226, the rows of digits's training split, found 5,000",
        ),
    ],
)
def test_settings_that_do_not_fit_the_data_set_are_refused(text, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        config.find_data(config.parse(text), tmp_path / "run.yaml", tmp_path)


@pytest.mark.parametrize(
    ("text", "overrides", "position"),
    [
        ("evaluate:\n  thresholds:\n    loss: {min: 0.5}\n", [], r"^reg\.yaml:5: evaluate\.thresholds\.loss: "),
        ("", ["evaluate.thresholds={loss: {min: 0}}"], r"^--set: evaluate\.thresholds\.loss: expected max"),
        ("evaluate: {thresholds: {los: {min: 0}}}", [], r"^reg\.yaml:3: evaluate\.thresholds: Unknown metric 'los'"),
        ("train:\n  batch_size: 5000", [], r"^reg\.yaml:4: train\.batch_size: expected at most 1,226"),
        ("", ["data.source=tdfs"], r"^--set: data\.source: Unknown source 'tdfs'"),
        ("", ["train={epoch: 3}"], r"^--set: Unknown key in train 'epoch'"),
    ],
)
def test_a_setting_that_does_not_fit_the_data_set_is_refused_with_its_position(text, overrides, position, tmp_path):
    (tmp_path / "reg.yaml").write_text(DIGITS + text)

    with pytest.raises(ConfigError, match=position):
        config.load(str(tmp_path / "reg.yaml"), overrides)


def test_an_override_wins_over_the_file_and_keeps_its_type():
    run_config = config.parse(
        DIGITS + "train: {epochs: 9}", overrides=["train.epochs=3", "model.filters=[8, 8]", "seed=7"]
    )

    assert (run_config.train.epochs, run_config.model.filters, run_config.seed) == (3, (8, 8), 7)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", r"^--set: Unknown key in train 'epoch'"),
        ("epochs", "expected KEY=VALUE"),
        ("seed.x=3", "--set seed.x=3: seed is not a section"),
        ("train.epochs=0", r"^--set: train\.epochs: expected greater than 0"),
        ("seed=[", "not valid YAML"),
        ("seed=2026-02-30", "not valid YAML"),
        ("seed=" + "[" * 1000, "--set seed: sections or lists are nested too deeply"),
        ("seed=&a [*a]", "--set seed:1: an alias stands inside of what it names"),
        (f"seed={BOMB}", "--set seed:1: expected at most 1,000,000 values"),
    ],
)
def test_a_bad_override_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        config.parse(DIGITS + "seed: 1", overrides=[override])


@pytest.mark.parametrize(
    "setting",
    [
        "evaluate.challenge=off",
        "train.warm_start=off",
        "data.checks.drift.policy=off",
        "evaluate.challenge=OFF",
        "train.warm_start=false",
    ],
)
def test_off_is_valid_in_any_case(setting):
    keys, _, value = setting.partition("=")
    section, *inner = keys.split(".")
    in_file = "".join(f"{{{name}: " for name in inner) + value + "}" * len(inner)
    text = "task: image_classification\ndata: {name: digits}\n"

    overridden = config.parse(text, overrides=[setting])
    written = config.parse(text + f"{section}: {in_file}\n") if section != "data" else overridden

    for value in (overridden, written):
        for name in keys.split("."):
            value = getattr(value, name)
        assert value == "off"


def test_yes_and_no_are_names_of_classes():
    """In YAML 1.1, which PyYAML reads, no, yes, on and off are booleans; null is no class and is refused."""
    text = "task: tabular_classification\ndata: {files: x.csv, features: {y: {kind: label, classes: [%s]}}}\n"

    run_config = config.parse(text % "no, yes, off, on, y, n")

    assert run_config.data.features["y"].classes == ("no", "yes", "off", "on", "y", "n")
    with pytest.raises(ConfigError, match="classes"):
        config.parse(text % "null, yes")


def test_a_switch_stays_a_boolean_and_a_word_that_is_not_offered_is_refused():
    assert config.parse(DIGITS + "train: {augment: off}").train.augment is False
    with pytest.raises(ConfigError, match='expected one of stop, warn, off; found "on"'):
        config.parse(DIGITS, overrides=["data.checks.drift.policy=on"])


def test_an_unknown_pipeline_offers_the_closest():
    with pytest.raises(ConfigError, match=r"Unknown pipeline 'fashion_mist'\. Did you mean 'fashion_mnist'\?"):
        config.load("fashion_mist")


def test_a_missing_run_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no run file .*mine\.yaml"):
        config.load(str(tmp_path / "mine.yaml"))


def test_a_run_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="cannot be read as UTF-8 text"):
        config.load(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", config.names())
def test_resolved_settings(name, golden):
    golden(f"{name}.settings.json", config.load(name).config.model_dump_json(indent=1) + "\n")


def test_every_setting_is_described_for_editors():
    schema = config.json_schema()

    records = {name: record for name, record in schema["$defs"].items() if "properties" in record}
    assert {"DataConfig", "TrainConfig", "Threshold", "ImageClassificationConfig"} <= set(records)
    undescribed = [
        f"{name}.{key}"
        for name, record in records.items()
        for key, value in record["properties"].items()
        if not value.get("description")
    ]
    assert not undescribed


def test_a_typo_is_reported_without_loading_tensorflow(tmp_path):
    (tmp_path / "typo.yaml").write_text(DIGITS + "train: {epoch: 3}")
    code = (
        "import sys\nfrom pipeline.commands import cli\nsys.argv = ['headrace', 'run', 'typo.yaml']\n"
        "try:\n    cli.main()\nfinally:\n    heavy = {'tensorflow', 'tfx', 'apache_beam', 'keras'} & set(sys.modules)\n"
        "    print('loaded:', sorted(heavy))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert result.returncode == 2
    assert result.stdout == "loaded: []\n"
    assert result.stderr.startswith("headrace: typo.yaml:3: Unknown key in train 'epoch'. Did you mean 'epochs'?")
    assert result.stderr.count("\n") == 1


def test_a_setting_that_overrides_a_merged_one_is_named_by_its_own_line():
    text = DIGITS + "train: {<<: {epochs: -1, seed: 3},\n  epochs: -2}"

    with pytest.raises(ConfigError, match=r"run\.yaml:4: train\.epochs: .* found -2"):
        config.parse(text, "run.yaml")
