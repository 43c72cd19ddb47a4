from datetime import datetime

from pipeline.core.paths import PipelinePaths
from pipeline.running.runner import new_identifier


def test_runs_sort_by_time_though_the_clock_is_set_back(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.logs.mkdir(parents=True)
    moments = [datetime(2026, 10, 25, 2, 59, 59, 999_000), datetime(2026, 10, 25, 2, 0), datetime(2026, 10, 25, 4, 0)]

    found = []
    for moment in moments:
        found.append(new_identifier(paths, moment))
        (paths.logs / f"{found[-1]}.log").touch()

    assert found == ["20261025-025959-999", "20261025-030000-000", "20261025-040000-000"]


def test_other_files_among_the_logs_do_not_matter(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.logs.mkdir(parents=True)
    (paths.logs / "notes.log").touch()

    assert new_identifier(paths, datetime(2026, 1, 2, 3, 4, 5)) == "20260102-030405-000"
