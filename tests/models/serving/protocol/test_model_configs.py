from pathlib import Path

from google.protobuf import text_format

from models.serving.protocol.model_configs import ModelConfig, list_versions, missing_versions, wanted_versions

AVAILABLE = {1: Path("/m/1"), 2: Path("/m/2"), 10: Path("/m/10")}


def config(policy: str = "") -> ModelConfig:
    return text_format.Parse(f'name: "m" base_path: "/m" {policy}', ModelConfig())


def test_version_numbers_are_parsed_as_in_tf_serving(tmp_path):
    for name in ("00000123", "+5", "-1", " 7 ", "1.5", "x3", ".staging-4", "1_0"):
        (tmp_path / name).mkdir()

    assert sorted(list_versions(tmp_path)) == [-1, 5, 7, 123]


def test_numbers_beyond_int64_are_no_versions(tmp_path):
    for name in ("7", str(2**63 - 1), str(2**63), "9" * 250, f"-{2**63}", f"-{2**63 + 1}"):
        (tmp_path / name).mkdir()

    assert sorted(list_versions(tmp_path)) == [-(2**63), 7, 2**63 - 1]


def test_the_policy_selects_versions_by_number():
    assert wanted_versions(config(), AVAILABLE) == {10: Path("/m/10")}
    assert sorted(wanted_versions(config("model_version_policy { latest { num_versions: 2 } }"), AVAILABLE)) == [2, 10]
    assert wanted_versions(config("model_version_policy { all {} }"), AVAILABLE) == AVAILABLE
    assert sorted(wanted_versions(config("model_version_policy { specific { versions: [1, 9] } }"), AVAILABLE)) == [1]


def test_missing_versions_are_named():
    assert missing_versions(config(), AVAILABLE) is None
    assert missing_versions(config(), {}) == (
        "No versions of servable m found under base path /m. Did you forget to name your leaf directory as a number "
        "(eg. '/1/')?"
    )
    assert missing_versions(config("model_version_policy { specific { versions: [1, 9, 11] } }"), AVAILABLE) == (
        "Version(s) 9, 11 of servable m, which were requested to be served as specific versions, were not found on the "
        "file system"
    )
