"""The rows of a data set that pass its checks, for tests."""

from data.checks.rows import RowChecks
from data.config import DataConfig
from data.loading import open_batches, open_rows
from data.spec import SPLITS, BadRow, Dataset


def kept(dataset: Dataset, config: DataConfig) -> tuple[dict[str, list], list[str]]:
    """Returns the rows of each split that a run keeps, and the notes; raises DataError as a run does."""
    checks = RowChecks(config.row_checks, dataset.spec, config.cut_shares, config.group or "")
    for batch in open_batches(dataset, config):
        checks.add(batch)
    checks.judge()
    rows: dict[str, list] = {split: [] for split in SPLITS}
    for split, row in open_rows(dataset, config):
        if not isinstance(row, BadRow):
            rows[split].append(row)
    for split, mask in checks.dropped().items():
        rows[split] = [row for row, is_dropped in zip(rows[split], mask, strict=True) if not is_dropped]
    return rows, checks.notes
