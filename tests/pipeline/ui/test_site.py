"""The site in headless Chromium: the real command, on a thousand made-up runs."""

import dataclasses
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from pipeline.reporting import page as report
from tests.browser import chromium, watch
from tests.conftest import ROOT
from tests.pipeline import made_up
from tests.pipeline.reporting.conftest import make
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

CLASSES = ("good", "bad")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home of a thousand runs: two have all files of a run, one has text that is HTML."""
    home = tmp_path_factory.mktemp("site")
    spec = made_up.spec_of(CLASSES)
    for index in range(997):
        name, accuracy = ("letters", "words")[index % 2], 0.5 + index / 4000
        record = made_up.record_of(f"20250101-{index:06d}-000", spec, name, metrics={"accuracy": accuracy})
        record.intervals = {"accuracy": [accuracy - 0.1, accuracy + 0.1]}
        record.state = "failed" if index % 10 == 0 else "published"
        made_up.write_record(home, record)
    make(home, CLASSES, rows=200, accuracy=0.6, run="20260528-1")
    second = make(home, CLASSES, rows=200, accuracy=0.9, run="20260529-1")
    report.write(second.paths, second.record, second.facts)
    hostile = made_up.record_of("20260601-1", spec, "hostile", state="failed", error=HOSTILE)
    hostile.stages[0].detail, hostile.command = HOSTILE, ["headrace", HOSTILE]
    made_up.write_record(home, hostile)
    return home


@pytest.fixture(scope="module")
def site(home) -> str:
    """URL of the running site."""
    command = [str(Path(sys.executable).with_name("headrace")), "ui", "--port", "0", "--home", str(home)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        url = process.stdout.readline().strip()
        yield url.rstrip("/")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def browser():
    with chromium() as chromium_browser:
        yield chromium_browser


def _get(url: str, **headers) -> tuple[int, str, dict]:
    """Returns status, text and headers of a response."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S) as response:
            return response.status, response.read().decode(), dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


PAGES = [
    "/",
    "/runs",
    "/runs?pipeline=letters&state=failed&page=2",
    "/pipelines/letters",
    "/runs/made_up/20260529-1",
    "/runs/made_up/20260529-1/report",
    "/runs/letters/20250101-000000-000/report",
    "/runs/hostile/20260601-1",
    "/runs/hostile/20260601-1/report",
    "/compare?run=20260528-1&run=20260529-1",
]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [1280, 360])
def test_pages_load_without_errors_or_other_hosts_and_fit_a_phone(site, browser, path, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    log = watch(page)
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    response = page.goto(site + path)

    assert response.status == 200
    assert (log.errors, log.hosts, dialogs) == ([], [], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1
    page.close()


def test_on_a_phone_tables_of_a_report_are_not_cut_off(site, browser):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(f"{site}/runs/made_up/20260529-1/report")

    for name in ("Stages", "Statistics"):
        table = page.locator(f"[aria-label={name}]")
        assert table.evaluate("element => element.scrollWidth <= element.clientWidth"), name
    page.close()


def test_the_first_page_has_each_pipeline_with_its_last_run(site, browser):
    page = browser.new_page()
    page.goto(site)

    rows = [row.split("\t") for row in page.locator("tbody tr").all_inner_texts()]

    assert [row[0] for row in rows] == ["hostile", "letters", "made_up", "words"]
    assert [row[-1] for row in rows] == ["1", "499", "2", "498"]
    page.close()


def test_the_list_is_filtered_and_paged(site, browser):
    page = browser.new_page()
    page.goto(f"{site}/runs")
    assert "1,000 runs, page 1 of 20" in page.inner_text("main")

    page.select_option("select[name=pipeline]", "letters")
    page.select_option("select[name=state]", "failed")
    page.click("text=Show")
    assert "100 runs, page 1 of 2" in page.inner_text("main")
    page.click("text=older")
    assert "page 2 of 2" in page.inner_text("main")
    assert set(page.locator("tbody tr td:nth-child(4)").all_inner_texts()) == {"failed"}
    page.close()


def test_two_runs_chosen_in_the_list_are_compared_with_the_right_differences(site, browser):
    page = browser.new_page()
    page.goto(f"{site}/pipelines/made_up")
    for box in page.locator("input[type=checkbox]").all():
        box.check()
    page.click("text=Compare the chosen")

    cell = page.locator("td[data-metric=accuracy][data-delta]").first
    assert float(cell.get_attribute("data-delta")) == pytest.approx(0.3)
    assert cell.inner_text().startswith("0.900 (+0.300, +0.")
    assert page.locator("[aria-label=Cost] tr:first-child td").all_inner_texts() == ["60.0", "60.0"]  # seconds
    assert page.locator("figure[data-chart='accuracy: difference'] svg").count() == 1
    assert page.locator("figure[data-chart='val_loss by epoch'] svg").count() == 1
    page.close()


def test_a_chart_is_drawn_and_its_table_has_the_values(site, browser):
    page = browser.new_page()
    page.goto(f"{site}/pipelines/letters")

    figure = page.locator("figure").first
    box = figure.locator("#curve-runs path").first.bounding_box()
    assert box["width"] > 200
    assert box["height"] > 20
    figure.locator("summary").click()
    values = [float(cell.get_attribute("data-value")) for cell in figure.locator("tbody td:nth-child(2)").all()]
    assert len(values) == 100
    assert values[-1] == pytest.approx(0.5 + 996 / 4000)
    assert values == sorted(values)
    page.close()


def test_the_page_of_a_running_run_is_updated_until_it_ends(site, browser, home):
    spec = made_up.spec_of(CLASSES)
    this_process = psutil.Process()
    record = made_up.record_of(
        "20260701-1",
        spec,
        "moving",
        state="running",
        ended=None,
        process=[this_process.pid, this_process.create_time()],
    )
    record.machine, record.stages = {"host": platform.node()}, record.stages[:2]
    record.stages[-1].state, record.stages[-1].detail = "running", "100 rows"
    made_up.write_record(home, record)
    page = browser.new_page()
    log = watch(page)
    page.goto(f"{site}/runs/moving/20260701-1")
    assert page.inner_text("#state") == "running"
    assert "100 rows" in page.inner_text("tbody[data-live]")

    record.stages[-1].detail = "200 rows <b>"
    made_up.write_record(home, record)
    page.locator("tbody[data-live]", has_text="200 rows <b>").wait_for()
    record = dataclasses.replace(record, state="published", ended=record.started + 5, version="7")
    made_up.write_record(home, record)
    page.locator(".verdict", has_text="published as version 7").wait_for()

    assert page.locator("tbody[data-live]").count() == 0
    assert (log.errors, log.hosts) == ([], [])
    page.close()
    shutil.rmtree(home / "runs" / "moving")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_legible_in_light_and_dark(site, browser, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{site}/runs/made_up/20260529-1/report")

    def brightness(colour: str) -> float:
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    text_colour = page.evaluate("getComputedStyle(document.body).color")
    chart_text = page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    assert abs(brightness(background) - brightness(text_colour)) > 0.6
    assert abs(brightness(background) - brightness(chart_text)) > 0.6
    assert (brightness(background) > 0.5) == (scheme == "light")
    page.close()


def test_the_report_can_be_used_with_the_keyboard(site, browser):
    page = browser.new_page()
    page.goto(f"{site}/runs/made_up/20260529-1/report")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the verdict"
    page.keyboard.press("Enter")
    assert page.url.endswith("#verdict")
    focused = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        focused.add(page.evaluate("document.activeElement.tagName"))
    assert {"DIV", "SUMMARY"} <= focused  # scrolling tables, and folded tables of numbers
    page.close()


def test_the_report_is_printed_with_its_folded_parts(site, browser, tmp_path):
    page = browser.new_page()
    page.goto(f"{site}/runs/made_up/20260529-1/report")

    pdf = page.pdf()

    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 20
    page.close()


def test_html_in_data_is_shown_as_text(site, browser):
    page = browser.new_page()
    page.goto(f"{site}/runs/hostile/20260601-1")

    assert HOSTILE in page.inner_text("main")
    assert page.locator("img").count() == 0
    page.close()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nowhere", "There is no page /nowhere."),
        ("/runs/made_up/none", "Pipeline made_up has no run none."),
        ("/runs/none/none", "Pipeline none has not run"),
        ("/runs/..%2f..%2fetc/none", "is no name of a pipeline"),
        ("/pipelines/..", "There is no page"),
        ("/compare?run=20260528-1", "From 2 to 8 runs can be compared, 1 were chosen."),
        ("/compare?run=20260528-1&run=20260528-1", "Two or more different runs"),
        ("/runs?since=yesterday", "A date is written as 2026-11-25"),
    ],
)
def test_an_invalid_request_gets_a_page_with_the_error(site, path, message):
    status, text, _ = _get(site + path)

    assert status == 404 or "no page" in message
    assert message in text or "no page" in message
    assert "Traceback" not in text


def test_another_host_name_and_other_methods_than_get_are_refused(site):
    assert _get(site, Host="evil.example")[0] == 403
    request = urllib.request.Request(f"{site}/runs", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(request, timeout=PATIENCE_S)


def test_responses_have_security_headers(site):
    _, _, headers = _get(site)
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_api_returns_json(site):
    status, text, _ = _get(f"{site}/api/runs?pipeline=made_up")

    assert status == 200
    assert [run["run"] for run in json.loads(text)] == ["20260529-1", "20260528-1"]
    assert json.loads(_get(f"{site}/api/runs/made_up/20260529-1")[1])["state"] == "published"


def test_a_damaged_report_is_rendered_anew(site, home):
    file = home / "runs" / "made_up" / "reports" / "20260529-1.html"
    content = file.read_text()
    file.write_text(content[:1000])

    _, text, _ = _get(f"{site}/runs/made_up/20260529-1/report")

    assert text.rstrip().endswith("</html>")
    assert 'data-value="0.9"' in text
    file.write_text(content)


def test_a_port_in_use_is_an_error(site, home):
    from tests.conftest import headrace

    done = headrace("ui", "--port", site.rsplit(":", 1)[1], "--home", home)

    assert done.code == 2
    assert "is taken" in done.err
    assert done.err.count("\n") == 1
