"""Weights mean the same only where classes and vocabularies are exactly the same, neither fewer nor more."""

import pytest

from data.spec import DatasetSpec, LabelFeature

pytestmark = pytest.mark.slow  # loads TensorFlow

SPEC = DatasetSpec(name="x", title="", licence="", features={"label": LabelFeature(classes=("b", "c"))})


def _why_not(folder, published: list[str], learned: list[str], classes: list[str]) -> str:
    """Returns why no weights are taken of a model with these vocabularies and classes, of which none is looked at."""
    from models.training.warm_start import begin_from

    for assets, vocabularies in (("published/assets", published), ("transform/transform_fn/assets", learned)):
        (folder / assets).mkdir(parents=True)
        for number, content in enumerate(vocabularies):
            (folder / assets / f"{assets[0]}{number}").write_text(content)
    (folder / "published" / "assets" / "labels.txt").write_text("".join(f"{name}\n" for name in classes))
    return begin_from(None, folder / "published", str(folder / "transform"), SPEC)


@pytest.mark.parametrize(
    ("published", "learned"),
    [(["one"], []), ([], ["one"]), (["one"], ["one", "two"]), (["one", "two"], ["one"]), (["one"], ["two"])],
)
def test_fewer_more_and_other_vocabularies_are_told(tmp_path, published, learned):
    assert _why_not(tmp_path, published, learned, ["b", "c"]) == "preprocessing learned another vocabulary"


@pytest.mark.parametrize("classes", [["b"], ["c"], ["b", "c", "d"], ["a", "b"], ["c", "b"], []])
def test_fewer_more_and_other_classes_are_told(tmp_path, classes):
    assert _why_not(tmp_path, ["one"], ["one"], classes) == "it has other classes"


def test_a_published_model_without_classes_is_told(tmp_path):
    from models.training.warm_start import begin_from

    assert begin_from(None, tmp_path, str(tmp_path), SPEC) == "it has other classes"
