import html.parser
import os
import re
import shutil

import numpy as np

from data.spec import BooleanFeature, DatasetSpec, DateFeature, NumberFeature
from models.evaluation.intervals import wilson
from pipeline.reporting import facts, page
from tests.pipeline.reporting.conftest import make

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'&{{ 7*7 }}'
VOID = {"meta", "link", "img", "br", "input"}


class Outline(html.parser.HTMLParser):
    """Collects elements and text of a page; asserts that elements are closed in the order they were opened."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_has_every_section_and_loads_no_other_file(run):
    text = page.render(run.record, run.facts)

    outline = Outline(text)
    sections = [attributes["id"] for tag, attributes in outline.tags if tag == "section"]
    assert sections == [
        "verdict", "data", "model", "learning", "metrics", "mistakes", "classical", "serving", "cost", "lineage",
        "reproduce", "card",
    ]  # fmt: skip
    assert not [tag for tag, _ in outline.tags if tag in ("script", "iframe", "object")]
    references = [
        value for _, attributes in outline.tags for key, value in attributes.items() if key in ("src", "href")
    ]
    assert all(value.startswith(("#", "data:")) for value in references)
    for anchor in (value[1:] for value in references if value.startswith("#") and len(value) < 20):
        assert f'id="{anchor}"' in text


def test_every_picture_has_a_text_alternative(run):
    outline = Outline(page.render(run.record, run.facts))

    for tag, attributes in outline.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
        if attributes.get("role") == "img":
            assert attributes["aria-label"]


def test_the_page_shows_the_numbers_of_the_run(run):
    text = page.render(run.record, run.facts)

    assert 'data-metric="accuracy" data-value="0.75"' in text
    low, high = wilson(0.75, 16)
    # Half of the interval is 0.19: the value has two digits.
    assert f'data-value="0.75">0.75</td><td class="n">{low:.2f} to {high:.2f}</td>' in text
    assert "≥ 0.7000" in text
    assert "the network beats majority" in text
    assert "majority (trivial)" in text
    assert "95 % of single examples within 1.5 ms" in text
    assert "0.1389 Wh" in text  # 50 s of CPU time at 10 W
    assert "digest of the data" in text


def test_the_data_section_names_the_columns_that_are_not_used(run):
    assert "Columns that are not used" not in page.render(run.record, run.facts)
    run.record.settings["data"]["ignore"] = ["order <no>", *(f"column {i}" for i in range(30))]

    text = page.render(run.record, run.facts)

    names = [f"<bdi>{name}</bdi>" for name in ("order &lt;no&gt;", *(f"column {i}" for i in range(19)))]
    assert f"Columns that are not used (<code>data.ignore</code>): {', '.join(names)} and 11 more.</p>" in text


def test_the_best_trivial_model_has_a_sentence_of_its_own_if_another_model_is_better(run):
    sentence = "The best trivial model, which ignores its input: auc: the network beats mean."
    trivial = {"best": "mean", "sentence": "auc: the network beats mean"}

    assert sentence not in page.render(run.record, run.facts)
    run.facts.comparison["trivial"] = trivial
    assert sentence in page.render(run.record, run.facts)


def test_a_comparison_of_an_older_release_names_no_trivial_model(run):
    del run.facts.comparison["trivial"]

    assert "the network beats majority" in page.render(run.record, run.facts)


def test_markup_in_data_and_settings_is_escaped(tmp_path):
    run = make(tmp_path, (f"bad {HOSTILE}", "good", "ugly"), feature=f"text {HOSTILE}", error=HOSTILE)
    run.record.settings["report"]["card"] = {"intended_use": HOSTILE, "limitations": None}
    run.record.stages[0].detail = HOSTILE
    run.record.command = ["headrace", "run", HOSTILE]
    for mistake in run.facts.mistakes:
        mistake["features"] = {HOSTILE: HOSTILE * 200}

    text = page.render(run.record, run.facts)

    outline = Outline(text)
    assert not [tag for tag, _ in outline.tags if tag == "script"]
    assert not [attributes for _, attributes in outline.tags if any(key.startswith("on") for key in attributes)]
    assert {attributes.get("src", "data:")[:5] for tag, attributes in outline.tags if tag == "img"} <= {"data:"}
    assert "49" not in re.findall(r"&amp;\{?\{? ?7\*7", text)
    assert "{{ 7*7 }}" in "".join(outline.texts)


def test_a_failed_run_says_what_failed_and_why(tmp_path):
    run = make(
        tmp_path, ("a", "b"), state="failed", exit_code=4, error="The model is not good enough:\n  accuracy 0.75"
    )
    run.record.version = None

    text = page.render(run.record, run.facts)

    assert "exit code 4" in text
    assert "The model is not good enough:\n  accuracy 0.75" in text


def test_a_killed_run_without_stages_has_a_page(run):
    run.record.stages, run.record.metrics, run.record.intervals = [], {}, {}
    run.record.state, run.record.ended = "killed", None

    text = page.render(run.record, facts.Facts())

    assert "process ended without recording a result" in text
    assert "No metrics: the run did not get that far" in text


def test_a_run_whose_artifacts_were_removed_has_a_page_that_says_so(run):
    shutil.rmtree(run.paths.artifacts)

    text = page.render(run.record, facts.gather(run.paths, run.record))

    assert text.count("is not there: `headrace gc`") == 9
    assert "accuracy 0.7500: expected" not in text  # the table of thresholds stays
    assert 'data-value="0.75"' in text


def test_a_record_without_settings_and_stages_has_a_page(run):
    from pipeline.history.record import RunRecord

    record = RunRecord(run=run.record.run, pipeline="made_up", state="published", started=1.0, ended=2.0)

    assert "made_up" in page.render(record, facts.Facts())


def test_the_page_of_a_thousand_classes_is_small(tmp_path):
    run = make(tmp_path, tuple(f"class {index}" for index in range(1000)), rows=4000, accuracy=0.9)

    text = page.render(run.record, run.facts)

    assert len(text.encode()) < 3 * 2**20
    assert "the 20 classes most often confused" in text
    assert "the 30 of 1,000 with the least F1" in text


def test_rows_are_counted_for_each_class(tmp_path):
    """TFDV's histogram of the labels has ten buckets: two of sixteen classes in one bucket would have equal bars."""
    run = make(tmp_path, tuple(f"class {index}" for index in range(16)), rows=50)

    text = page.render(run.record, run.facts)

    counts = np.bincount(run.facts.predictions.targets, minlength=16).tolist()
    assert list(run.facts.classes["train"].values()) == counts
    assert "16 classes; train 50 rows; validation 50 rows; test 50 rows." in text


def test_long_texts_are_folded(run):
    run.facts.mistakes[0]["features"] = {"text": "long " * 400}

    text = page.render(run.record, run.facts)

    assert "all 2,000 characters" in text


def test_a_mistake_shows_its_row_in_the_data_and_missing_values(run):
    mistake = run.facts.mistakes[0] | {"row": 53, "file": "1", "number": 479}
    mistake["features"] = {"country": None, "vip": True, "signup": "2024-06-24"}
    run.facts.mistakes = [mistake]
    run.record.settings["data"]["files"] = "raw/customers.csv"

    text = " ".join(Outline(page.render(run.record, run.facts)).texts)

    assert "customers.csv:479" in text
    assert " ".join(text.split()).count("country missing vip true signup 2024-06-24") == 1


def test_the_page_is_written_completely(run):
    page_path = page.write(run.paths, run.record, run.facts)

    assert page_path == run.paths.reports / "20260528-000000-000.html"
    assert page_path.read_text().rstrip().endswith("</html>")
    assert not list(run.paths.reports.glob("*.new"))


def test_regression_and_recommendation_have_a_chart_of_predicted_and_true(tmp_path):
    """A prediction of regression is a number `(rows,)`, of recommendation rank and rating `(rows, 2)`."""
    import numpy as np

    from data.spec import DatasetSpec, NumberFeature, TargetFeature
    from pipeline.core.config import schema_class
    from tests.pipeline import made_up

    spec = DatasetSpec(name="a", title="a", licence="a", features={"x": NumberFeature(), "price": TargetFeature()})
    settings = schema_class("tabular_regression").model_validate(
        {"task": "tabular_regression", "data": {"name": "taxi_fare"}, "model": {}}
    )
    record = made_up.record_of("20260528-1", spec, settings=settings.model_dump(mode="json"))
    targets = np.arange(10, dtype=np.float32)
    overall = {"rmse": 1.0, "mae": 1.0, "example_count": 10.0}
    mistake = {"row": 3, "true": 3.0, "predicted": 4.0, "features": {"x": 1.0}}
    for values in (targets + 1, np.stack([targets, targets + 1], axis=1)):
        run_facts = facts.Facts(
            spec=spec,
            evaluation={"slices": {"overall": overall, "kind=a": {"rmse": 2.0, "example_count": 4.0}}},
            predictions=facts.Predictions(targets, values),
            mistakes=[mistake],
        )
        text = page.render(record, run_facts)

        assert 'data-chart="Predicted and true"' in text
        assert 'data-metric="rmse" data-value="1.0"' in text
        assert "rmse by slice" in text
        assert "<strong>4" in text
        assert "95 % interval" not in text.partition("rmse by slice")[2].partition("</figure>")[0]


def test_numbers_have_the_stored_intervals_and_their_digits(run):
    run.facts.evaluation["intervals"] = {
        "overall": {"loss": [0.19, 0.39], "recall@bad": [0.111, 0.999], "expected_calibration_error": [0.1, 0.3]},
        "label=good": {"accuracy": [0.123, 0.987]},
    }

    text = " ".join(" ".join(Outline(page.render(run.record, run.facts)).texts).split())

    loss = run.record.metrics["loss"]
    assert f"loss {loss:.2f} 0.19 to 0.39" in text
    assert "0.11 to 1.00" in text  # recall in the table of classes
    assert "0.12 to 0.99" in text  # of a slice
    assert re.search(r"Expected calibration error 0\.\d\d \(0\.10 to 0\.30\)", text)


def test_the_page_lists_the_shown_metrics_and_the_number_of_test_rows(tmp_path):
    run = make(tmp_path, ("no", "yes"))
    run.record.compared = ["f1@yes", "accuracy"]

    text = page.render(run.record, run.facts)

    names = re.findall('data-metric="([^"]*)"', text)
    assert names[:2] == ["f1@yes", "accuracy"]
    assert not {"example_count", "f1@no"} & set(names)
    assert "Of 16 test rows." in text


def test_the_page_says_by_which_column_rows_are_weighted(tmp_path):
    run = make(tmp_path, ("no", "yes"))
    run.facts.spec = run.facts.spec.model_copy(update={"weight_column": "<w>"})

    text = " ".join(" ".join(Outline(page.render(run.record, run.facts)).texts).split())

    assert re.search(r"Of 16 test rows, weighted by column <w> ?; numbers of rows, those of the confusion matrix", text)


def test_a_run_of_an_older_release_shows_its_numbers_without_intervals(run):
    del run.facts.evaluation["intervals"]
    run.record.intervals = {}

    text = page.render(run.record, run.facts)

    assert 'data-metric="accuracy" data-value="0.75">0.7500</td><td class="n"></td>' in text
    assert "Wilson" not in text
    assert "accuracy by slice" in text


def test_a_value_just_below_its_threshold_has_enough_digits_to_show_it(run):
    run.facts.verdicts[0] |= {"value": 0.6999, "bound": 0.7}

    assert '<td class="n" data-value="0.6999">0.6999</td>' in page.render(run.record, run.facts)


def test_a_rewritten_page_stays_private(run):
    earlier_umask = os.umask(0o022)
    try:
        page_path = page.write(run.paths, run.record, facts.gather(run.paths, run.record))
    finally:
        os.umask(earlier_umask)

    assert page_path.stat().st_mode & 0o777 == 0o640


def test_statistics_of_dates_are_days_and_of_booleans_a_share(tmp_path):
    from tensorflow_metadata.proto.v0 import statistics_pb2

    spec = DatasetSpec(
        name="a",
        title="a",
        licence="a",
        features={"since": DateFeature(), "left": BooleanFeature(), "x": NumberFeature()},
    )
    statistics = {
        "since": [1566604800, 86400 * 3.5, 0, 1e18, 1566690000],
        "left": [0.25, 0.43, 0, 1, 0],
        "x": [2, 1, 0, 4, 2],
        "price": [4.9291, 0.5, float(np.float32(0.52)), 8.98, 5],
    }
    features = []
    for name, values in statistics.items():
        feature = statistics_pb2.FeatureNameStatistics()
        feature.path.step.append(name)
        stats = feature.num_stats
        stats.mean, stats.std_dev, stats.min, stats.max, stats.median = values
        features.append(feature)

    texts = [
        feature["splits"]["train"]["text"]
        for feature in page._statistics(facts.Facts(spec=spec, statistics={"train": features}))
    ]

    assert texts == [
        "mean 2019-08-24, deviation 3.5 days, from 1970-01-01 to 11,574,074,074,074 days after 1970, median 2019-08-24",
        "yes in 25.0% of its values",
        "mean 2, deviation 1, from 0 to 4, median 2",
        "mean 4.929, deviation 0.5, from 0.52 to 8.98, median 5",
    ]
