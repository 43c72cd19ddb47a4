import pytest

pytestmark = pytest.mark.slow  # loads TFX


@pytest.mark.parametrize(
    ("require", "passing"),
    [("beat", {"beats"}), ("tie", {"beats", "ties with"}), ("report", {"beats", "ties with", "loses to"})],
)
def test_the_gate_asks_for_as_much_as_the_settings(require, passing):
    from components.baseline import check
    from data.errors import ModelError

    for verdict in ("beats", "ties with", "loses to"):
        if verdict in passing:
            check(verdict, require, "accuracy: ...")
        else:
            with pytest.raises(ModelError, match=f"baseline.require is {require}"):
                check(verdict, require, "accuracy: ...")
