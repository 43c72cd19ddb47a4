from models.evaluation import names


def test_the_usual_metrics_come_first_and_neither_single_classes_nor_counts_are_shown():
    computed = ["accuracy", "example_count", "loss", "auc", "recall@yes", "f1@no", "f1@yes"]

    assert names.shown(computed, ["auc", "accuracy", "f1@yes", "unknown"]) == ["auc", "accuracy", "f1@yes", "loss"]
    assert names.shown(computed) == ["accuracy", "loss", "auc"]
    assert names.shown([]) == []


def test_slices_are_compared_by_the_first_metric_that_every_slice_has():
    usual = ["auc", "accuracy"]
    both, one_class = {"auc": 0.9, "accuracy": 0.8}, {"accuracy": 0.7}

    assert names.of_slices([both, one_class], usual) == "accuracy"
    assert names.of_slices([both, both], usual) == "auc"
    assert names.of_slices([{"auc": 0.9}, one_class], usual) == "auc"
    assert names.of_slices([], usual) is None
    assert names.of_slices([{"example_count": 3.0}], usual) is None


def test_metrics_of_single_classes_are_recognized_by_their_names():
    assert names.of_class("recall", "a shirt") == "recall@a shirt"
    assert names.is_of_class("recall@a shirt")
    assert not names.is_of_class("recall_at_10")
