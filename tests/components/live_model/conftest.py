import pytest

from tests.components.live_model.homes import COLUMNS, Home, synthetic_rows
from tests.data.corpus import csv_text


@pytest.fixture
def home(tmp_path) -> Home:
    """Returns a folder with 60 synthetic rows of two classes."""
    (tmp_path / "rows.csv").write_text(csv_text(synthetic_rows(), COLUMNS))
    return Home(tmp_path)
