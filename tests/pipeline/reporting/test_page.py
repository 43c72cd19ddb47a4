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
    """Collects elements, and refuses a page whose elements do not close as they opened."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
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
        self.words.append(data)


def test_the_page_has_every_part_and_nothing_from_elsewhere(run):
    text = page.render(run.record, run.facts)

    outline = Outline(text)
    sections = [attributes["id"] for tag, attributes in outline.tags if tag == "section"]
    assert sections == [
        "verdict", "data", "model", "learning", "metrics", "mistakes", "classical", "serving", "cost", "lineage",
        "reproduce", "card",
    ]  # fmt: skip
    assert not [tag for tag, _ in outline.tags if tag in ("script", "iframe", "object")]
    references = [value for _, one in outline.tags for key, value in one.items() if key in ("src", "href")]
    assert all(value.startswith(("#", "data:")) for value in references)
    for anchor in (value[1:] for value in references if value.startswith("#") and len(value) < 20):
        assert f'id="{anchor}"' in text


def test_every_picture_says_what_it_shows(run):
    outline = Outline(page.render(run.record, run.facts))

    for tag, attributes in outline.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
        if attributes.get("role") == "img":
            assert attributes["aria-label"]


def test_numbers_are_the_runs_own(run):
    text = page.render(run.record, run.facts)

    assert 'data-metric="accuracy" data-value="0.75"' in text
    low, high = wilson(0.75, 16)
    # Half of it is 0.19: two digits are known.
    assert f'data-value="0.75">0.75</td><td class="n">{low:.2f} to {high:.2f}</td>' in text
    assert "≥ 0.7000" in text
    assert "the network beats majority" in text
    assert "majority (trivial)" in text
    assert "95 % of single examples within 1.5 ms" in text
    assert "0.1389 Wh" in text  # 50 s of CPU time at 10 W
    assert "digest of the data" in text


def test_the_best_trivial_model_has_a_sentence_of_its_own_where_another_is_better(run):
    words = "The best model that looks at no input: auc: the network beats mean."
    trivial = {"best": "mean", "sentence": "auc: the network beats mean"}

    assert words not in page.render(run.record, run.facts)
    run.facts.comparison["trivial"] = trivial
    assert words in page.render(run.record, run.facts)


def test_a_comparison_of_an_older_release_names_no_trivial_model(run):
    del run.facts.comparison["trivial"]

    assert "the network beats majority" in page.render(run.record, run.facts)


def test_what_is_hostile_in_data_and_settings_stays_text(tmp_path):
    run = make(tmp_path, (f"bad {HOSTILE}", "good", "ugly"), feature=f"text {HOSTILE}", error=HOSTILE)
    run.record.settings["report"]["card"] = {"intended_use": HOSTILE, "limitations": None}
    run.record.stages[0].detail = HOSTILE
    run.record.command = ["headrace", "run", HOSTILE]
    for one in run.facts.mistakes:
        one["features"] = {HOSTILE: HOSTILE * 200}

    text = page.render(run.record, run.facts)

    outline = Outline(text)
    assert not [tag for tag, _ in outline.tags if tag == "script"]
    assert not [one for _, one in outline.tags if any(key.startswith("on") for key in one)]
    assert {one.get("src", "data:")[:5] for tag, one in outline.tags if tag == "img"} <= {"data:"}
    assert "49" not in re.findall(r"&amp;\{?\{? ?7\*7", text)
    assert "{{ 7*7 }}" in "".join(outline.words)


def test_a_failed_run_says_what_failed_and_why(tmp_path):
    run = make(
        tmp_path, ("a", "b"), state="failed", exit_code=4, error="The model is not good enough:\n  accuracy 0.75"
    )
    run.record.version = None

    text = page.render(run.record, run.facts)

    assert "exit code 4" in text
    assert "The model is not good enough:\n  accuracy 0.75" in text


def test_a_run_that_never_began_and_one_that_was_killed_have_pages(run):
    run.record.stages, run.record.metrics, run.record.intervals = [], {}, {}
    run.record.state, run.record.ended = "killed", None

    text = page.render(run.record, facts.Facts())

    assert "process is gone" in text
    assert "No metrics: the run did not come that far" in text


def test_a_run_whose_artifacts_were_collected_has_a_page_that_says_so(run):
    shutil.rmtree(run.paths.artifacts)

    text = page.render(run.record, facts.gather(run.paths, run.record))

    assert text.count("is not there: `headrace gc`") == 9
    assert "accuracy 0.7500: expected" not in text  # the table of thresholds stays
    assert 'data-value="0.75"' in text


def test_a_record_that_was_made_of_ml_metadata_alone_has_a_page(run):
    from pipeline.history.record import RunRecord

    bare = RunRecord(run=run.record.run, pipeline="made_up", state="published", started=1.0, ended=2.0)

    assert "made_up" in page.render(bare, facts.Facts())


def test_a_thousand_classes_stay_small(tmp_path):
    run = make(tmp_path, tuple(f"class {index}" for index in range(1000)), rows=4000, accuracy=0.9)

    text = page.render(run.record, run.facts)

    assert len(text.encode()) < 3 * 2**20
    assert "the 20 classes most often confused" in text
    assert "the 30 of 1,000 with the least F1" in text


def test_classes_are_counted_one_by_one(tmp_path):
    """TFDV's histogram of the labels has ten buckets: of sixteen classes those in one bucket had equal bars."""
    run = make(tmp_path, tuple(f"class {index}" for index in range(16)), rows=50)

    text = page.render(run.record, run.facts)

    counts = np.bincount(run.facts.answers.targets, minlength=16).tolist()
    assert list(run.facts.classes["train"].values()) == counts
    assert "16 classes; train 50 rows; validation 50 rows; test 50 rows." in text


def test_long_texts_fold(run):
    run.facts.mistakes[0]["features"] = {"text": "long " * 400}

    text = page.render(run.record, run.facts)

    assert "all 2,000 characters" in text


def test_a_mistake_is_told_by_its_row_in_the_data_and_a_missing_cell_as_missing(run):
    mistake = run.facts.mistakes[0] | {"row": 53, "file": "1", "number": 479}
    mistake["features"] = {"country": None, "vip": True, "signup": "2024-06-24"}
    run.facts.mistakes = [mistake]
    run.record.settings["data"]["files"] = "raw/customers.csv"

    words = " ".join(Outline(page.render(run.record, run.facts)).words)

    assert "customers.csv:479" in words
    assert " ".join(words.split()).count("country missing vip true signup 2024-06-24") == 1


def test_the_page_is_written_whole(run):
    written = page.write(run.paths, run.record, run.facts)

    assert written == run.paths.reports / "20260528-000000-000.html"
    assert written.read_text().rstrip().endswith("</html>")
    assert not list(run.paths.reports.glob("*.new"))


def test_a_model_of_numbers_has_a_page_with_predicted_over_true(tmp_path):
    """Regression: no classes, one number an answer; and recommendation, whose answers are rank and rating."""
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
        found = facts.Facts(
            spec=spec,
            evaluation={"slices": {"overall": overall, "kind=a": {"rmse": 2.0, "example_count": 4.0}}},
            answers=facts.Predictions(targets, values),
            mistakes=[mistake],
        )
        text = page.render(record, found)

        assert 'data-chart="Predicted and true"' in text
        assert 'data-metric="rmse" data-value="1.0"' in text
        assert "rmse by slice" in text
        assert "<strong>4" in text
        assert "95 % interval" not in text.partition("rmse by slice")[2].partition("</figure>")[0]


def test_numbers_have_the_intervals_and_the_digits_that_the_evaluation_stored(run):
    run.facts.evaluation["intervals"] = {
        "overall": {"loss": [0.19, 0.39], "recall@bad": [0.111, 0.999], "expected_calibration_error": [0.1, 0.3]},
        "label=good": {"accuracy": [0.123, 0.987]},
    }

    words = " ".join(" ".join(Outline(page.render(run.record, run.facts)).words).split())

    loss = run.record.metrics["loss"]
    assert f"loss {loss:.2f} 0.19 to 0.39" in words
    assert "0.11 to 1.00" in words  # recall in the table of classes
    assert "0.12 to 0.99" in words  # of a slice
    assert re.search(r"Expected calibration error 0\.\d\d \(0\.10 to 0\.30\)", words)


def test_metrics_are_those_that_are_shown_and_rows_are_counted_apart(tmp_path):
    run = make(tmp_path, ("no", "yes"))
    run.record.compared = ["f1@yes", "accuracy"]

    text = page.render(run.record, run.facts)

    names = re.findall('data-metric="([^"]*)"', text)
    assert names[:2] == ["f1@yes", "accuracy"]
    assert not {"example_count", "f1@no"} & set(names)
    assert "Of 16 test rows." in text


def test_a_run_of_an_older_release_shows_its_numbers_without_intervals(run):
    del run.facts.evaluation["intervals"]
    run.record.intervals = {}

    text = page.render(run.record, run.facts)

    assert 'data-metric="accuracy" data-value="0.75">0.7500</td><td class="n"></td>' in text
    assert "Wilson" not in text
    assert "accuracy by slice" in text


def test_a_value_below_its_threshold_is_seen_to_be_below(run):
    run.facts.verdicts[0] |= {"value": 0.6999, "bound": 0.7}

    assert '<td class="n" data-value="0.6999">0.6999</td>' in page.render(run.record, run.facts)


def test_a_page_that_is_written_anew_stays_private(run):
    before = os.umask(0o022)
    try:
        written = page.write(run.paths, run.record, facts.gather(run.paths, run.record))
    finally:
        os.umask(before)

    assert written.stat().st_mode & 0o777 == 0o640


def test_dates_are_told_as_days_and_booleans_as_a_share(tmp_path):
    from tensorflow_metadata.proto.v0 import statistics_pb2

    spec = DatasetSpec(
        name="a",
        title="a",
        licence="a",
        features={"since": DateFeature(), "left": BooleanFeature(), "x": NumberFeature()},
    )
    told = {
        "since": [1566604800, 86400 * 3.5, 0, 1e18, 1566690000],
        "left": [0.25, 0.43, 0, 1, 0],
        "x": [2, 1, 0, 4, 2],
    }
    features = []
    for name, values in told.items():
        one = statistics_pb2.FeatureNameStatistics()
        one.path.step.append(name)
        stats = one.num_stats
        stats.mean, stats.std_dev, stats.min, stats.max, stats.median = values
        features.append(one)

    words = [
        one["splits"]["train"]["words"]
        for one in page._statistics(facts.Facts(spec=spec, statistics={"train": features}))
    ]

    assert words == [
        "mean 2019-08-24, deviation 3.5 days, from 1970-01-01 to 11,574,074,074,074 days after 1970, median 2019-08-24",
        "yes in 25.0% of its values",
        "mean 2, deviation 1, from 0 to 4, median 2",
    ]
