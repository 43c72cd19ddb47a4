import pytest

from tests.components.live_model.homes import COLUMNS, Home, made_rows
from tests.data.corpus import csv_text


@pytest.fixture
def home(tmp_path) -> Home:
    (tmp_path / "rows.csv").write_text(csv_text(made_rows(), COLUMNS))
    return Home(tmp_path)
