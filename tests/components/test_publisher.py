import numpy as np
import pytest

from data.checks.profile import Profile
from data.spec import DatasetSpec, NumberFeature

pytestmark = pytest.mark.slow  # loads TFX

SPEC = DatasetSpec(name="tiny", title="made up", licence="none", features={"x": NumberFeature()})


def test_the_profile_of_a_version_is_private_and_only_a_new_version_replaces_it(tmp_path):
    from tensorflow_metadata.proto.v0 import statistics_pb2

    from components.artifact_files import PROFILE, STATISTICS
    from components.publisher import keep_profile
    from data.checks.reference import Reference

    profile = Profile(SPEC)
    profile.add({"x": np.array([1.0, 2.0, 3.0])})
    profile.save(PROFILE.path(tmp_path))
    stored = statistics_pb2.DatasetFeatureStatisticsList()
    stored.datasets.add(num_examples=3)
    STATISTICS.path(tmp_path, "train").parent.mkdir()
    STATISTICS.path(tmp_path, "train").write_bytes(stored.SerializeToString())

    keep_profile(str(tmp_path), "run 1", tmp_path / "profiles", 17, is_new=True)
    (file,) = (tmp_path / "profiles").iterdir()
    keep_profile(str(tmp_path), "run 2", tmp_path / "profiles", 17, is_new=False)  # the same model again
    kept = Reference(file, "", "").read()
    keep_profile(
        str(tmp_path), "run 3", tmp_path / "profiles", 17, is_new=True
    )  # after all versions were removed and the clock was set back
    replaced = Reference(file, "", "").read()

    assert file.name == "17.npz"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (kept.run, replaced.run) == ("run 1", "run 3")
    assert kept.statistics == stored
    assert kept.arrays["rows"].tolist() == [3]
