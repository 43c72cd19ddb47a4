import pytest

from data.errors import DataError

pytestmark = pytest.mark.slow  # loads TFDV


def _anomalies(values: dict):
    """Returns TFDV's findings about a column, held against digits' schema for `label`."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from pipeline.graph import data

    schema = tfdv.load_schema_text(f"{data.__path__[0]}/schemas/digits.pbtxt")
    return tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(pd.DataFrame(values)), schema)


def test_data_that_fits_its_schema_passes():
    from components.data_gate import check_anomalies

    check_anomalies({"train": _anomalies({"image": [b"a", b"b"], "label": [0, 9]})}, "digits")


def test_a_label_outside_its_domain_and_a_missing_column_stop_the_run():
    from components.data_gate import check_anomalies

    found = {"train": _anomalies({"image": [b"a"], "label": [3]}), "test": _anomalies({"label": [12, 3]})}
    with pytest.raises(DataError) as caught:
        check_anomalies(found, "digits")

    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Data set digits does not match its schema, nothing was trained; mend the data or")
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["test", "image"]
    assert "missing" in lines[1]
    assert lines[2].split()[:2] == ["test", "label"]
    assert "12" in lines[2]


def test_many_anomalies_are_cut_to_ten_lines():
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from components.data_gate import check_anomalies

    many = anomalies_pb2.Anomalies()
    for index in range(30):
        many.anomaly_info[f"column{index:02d}"].description = "odd"
    with pytest.raises(DataError) as caught:
        check_anomalies({"train": many}, "wide")

    lines = str(caught.value).splitlines()
    assert len(lines) == 11  # the head and ten lines
    assert lines[-1] == "  and 21 more"
