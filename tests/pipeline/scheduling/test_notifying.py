import http.server
import json
import logging
import os
import re
import threading
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from data.errors import ConfigError
from models.serving.deployment.process import free_port
from pipeline.core import config, environment
from pipeline.core.config import Notify
from pipeline.core.logs import HidingFormatter
from pipeline.core.paths import PipelinePaths
from pipeline.history import webhooks
from pipeline.history.journal import Journal
from pipeline.history.record import RunRecord
from pipeline.scheduling import notifying
from pipeline.scheduling.store import FAILED, REFUSED, SUCCEEDED, Outcome, Schedule, ScheduledRun, Store
from tests.pipeline import made_up

# The test server has no TLS; its password is made up.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

SCHEDULED_RUN = ScheduledRun(1, "digits", 100.0, "cron", 100.0)
DRIFTED = ScheduledRun(2, "digits", 100.0, "drift", 100.0)


class Mailbox:
    """The mails that an SMTP server received."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def smtp():
    """A real SMTP server that requires a password; yields its mailbox."""

    def authenticate(server, session, envelope, mechanism, data):
        is_valid = data.login == b"headrace" and data.password == b"sesame-12345"
        return AuthResult(success=is_valid, handled=is_valid)  # unhandled: the server itself refuses

    box = Mailbox()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


@pytest.fixture
def hook():
    """A real HTTP server that refuses the first `refusals` requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.attempts += 1
            is_refused = self.server.attempts <= self.server.refusals
            self.send_response(503 if is_refused else 200)
            self.end_headers()
            if not is_refused:
                self.server.requests.append((self.path, self.headers["Content-Type"], json.loads(body)))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.attempts, server.refusals, server.requests = 0, 0, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _notify(
    home: Path,
    channels: list[dict],
    outcome: Outcome,
    scheduled_run: ScheduledRun = SCHEDULED_RUN,
    paused: bool = False,
) -> list[str]:
    return notifying.notify_result(
        home, Schedule("digits", "digits", notify=tuple(channels)), scheduled_run, outcome, paused
    )


def test_the_verdict_on_a_canary_goes_to_the_channels_of_the_run_that_published_it(tmp_path):
    spec = made_up.spec_of(("a", "b"))
    record = made_up.record_of("20260528-000000-000", spec)
    record.settings["notify"] = [{"file": "notifications.jsonl"}, {"file": "others.jsonl", "events": ["failure"]}]
    made_up.write_record(tmp_path, record)
    version = tmp_path / "serving" / "made_up" / "7"
    (version / "assets.extra").mkdir(parents=True)

    assert (
        notifying.notify_canary_outcome(tmp_path, "made_up", 7, "taken back", "too slow") == []
    )  # no manifest names its run
    (version / "assets.extra" / "headrace.json").write_text(json.dumps({"run": record.run}))
    assert notifying.notify_canary_outcome(tmp_path, "made_up", 7, "taken back", "too slow") == []

    (line,) = [json.loads(line) for line in (tmp_path / "notifications.jsonl").read_text().splitlines()]
    assert (line["event"], line["text"]) == ("canary", "Canary 7 of made_up was taken back: too slow")
    assert (line["version"], line["run"]) == (7, record.run)
    assert not (tmp_path / "others.jsonl").exists()


def test_a_file_gets_a_line_for_each_event_it_wants(tmp_path):
    channels = [{"file": "log/runs.jsonl", "events": ["success", "paused"]}]

    _notify(tmp_path, channels, Outcome(SUCCEEDED, 0, "20260101-1", "published 7"))
    _notify(tmp_path, channels, Outcome(FAILED, 1, message="no disk"))
    _notify(tmp_path, channels, Outcome(REFUSED, 4, message="accuracy 0.1"), paused=True)

    lines = [json.loads(line) for line in (tmp_path / "log" / "runs.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["success", "paused"]
    assert lines[0]["text"] == "digits succeeded: published 7"
    assert lines[0]["run"] == "20260101-1"
    assert "headrace schedule resume digits" in lines[1]["text"]
    assert ((tmp_path / "log" / "runs.jsonl").stat().st_mode & 0o777) == 0o640


def test_a_webhook_gets_json_in_the_format_of_slack(hook, tmp_path):
    _notify(
        tmp_path, [{"webhook": f"{hook.url}/services/T0"}], Outcome(REFUSED, 4, message="accuracy 0.1: expected >= 0.9")
    )

    ((path, content_type, body),) = hook.requests
    assert path == "/services/T0"
    assert content_type == "application/json"
    assert body["text"] == "digits was refused by a gate: accuracy 0.1: expected >= 0.9"
    assert body["event"] == "refused"


def test_a_webhook_elsewhere_obeys_the_proxy_and_one_on_this_machine_needs_none(hook, tmp_path, monkeypatch):
    for name in ("https_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    message = {"text": "a", "event": "failure"}

    monkeypatch.setenv("http_proxy", hook.url)
    environment.bypass_proxies(os.environ)
    assert notifying.send([Notify(webhook="http://hooks.invalid/services/T0")], message, tmp_path, waits=()) == []
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert notifying.send([Notify(webhook=f"{hook.url}/services/T0")], message, tmp_path, waits=()) == []

    assert [path for path, *_ in hook.requests] == ["http://hooks.invalid/services/T0", "/services/T0"]
    monkeypatch.setenv("no_proxy", "hooks.invalid")
    (problem,) = notifying.send([Notify(webhook="http://hooks.invalid/services/T0")], message, tmp_path, waits=())
    assert "URLError" in problem  # the proxy was not used


def test_a_failure_is_retried_and_then_reported(hook, tmp_path):
    pauses = []
    message = {"text": "hello", "event": "failure"}
    channel = Notify(webhook=hook.url)
    hook.refusals = 2

    assert notifying.send([channel], message, tmp_path, waits=(1.0, 5.0), sleep=pauses.append) == []
    assert pauses == [1.0, 5.0]
    assert len(hook.requests) == 1

    hook.refusals = 100
    (problem,) = notifying.send([channel], message, tmp_path, waits=(1.0,), sleep=pauses.append)
    assert problem.startswith(f"webhook {hook.url} could not be notified (HTTPError: HTTP Error 503")


def test_an_e_mail_has_a_subject_and_the_details(smtp, tmp_path, monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "sesame-12345")
    email = {
        "host": "127.0.0.1", "port": smtp.port, "security": "none", "sender": "headrace@example.org",
        "to": ["ada@example.org", "grace@example.org"], "user": "headrace", "password": "${ENV:SMTP_PASSWORD}",
    }  # fmt: skip

    assert _notify(tmp_path, [{"email": email}], Outcome(FAILED, 1, "20260101-1", "the disk is full\nreally")) == []

    (envelope,) = smtp.mails
    text = envelope.content.decode()
    assert envelope.rcpt_tos == ["ada@example.org", "grace@example.org"]
    assert "Subject: [headrace] digits failed: the disk is full" in text
    assert "run: 20260101-1" in text
    assert "sesame" not in text


def test_a_wrong_password_is_reported_without_the_password(smtp, tmp_path, monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "wrong-password-1")
    email = Notify(
        email={"host": "127.0.0.1", "port": smtp.port, "security": "none", "sender": "a@example.org",
               "to": ["b@example.org"], "user": "headrace", "password": "${ENV:SMTP_PASSWORD}"}
    )  # fmt: skip

    (problem,) = notifying.send([email], {"text": "a", "event": "failure"}, tmp_path, waits=())

    assert "could not be notified (SMTPAuthenticationError" in problem
    assert "wrong-password-1" not in problem
    assert smtp.mails == []


def test_a_missing_variable_is_reported_and_other_channels_still_work(tmp_path):
    channels = [Notify(webhook="${ENV:NO_SUCH_HOOK}"), Notify(file=Path("runs.jsonl"))]

    (problem,) = notifying.send(channels, {"text": "a", "event": "failure"}, tmp_path, waits=())

    assert "NO_SUCH_HOOK" in problem
    assert (tmp_path / "runs.jsonl").exists()


def test_a_run_for_drift_is_an_event_of_its_own(tmp_path):
    _notify(
        tmp_path, [{"file": "a.jsonl", "events": ["drift", "success"]}], Outcome(SUCCEEDED, 0), scheduled_run=DRIFTED
    )

    events = [json.loads(line)["event"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert events == ["success", "drift"]


@pytest.mark.parametrize(
    ("section", "fragment"),
    [
        ("[{file: a, webhook: 'http://b'}]", "one of file, email and webhook"),
        ("[{}]", "one of file, email and webhook"),
        ("[{file: a, events: []}]", "at least 1"),
        ("[{file: a, events: [sucess]}]", "success"),
        ("[{webhook: 'http://b/sesame', webhok: 1}]", "Unknown key in notify.0 'webhok'"),
        ("[{webhook: 'http://b/sesame', file: a}]", "found keys webhook, file"),
        ("{webhook: 'http://b/sesame'}", "found keys webhook"),
        ("http://b/sesame", "found another text"),
        ("[http://b/sesame]", "found another text"),
        ("[{webhook: ['http://b/sesame']}]", "notify.0.webhook"),
        ("[{email: {host: a, sender: b, to: [c], password: sesame}}]", "a password as ${ENV:NAME}"),
    ],
)
def test_invalid_channels_are_refused_before_anything_runs(section, fragment):
    with pytest.raises(ConfigError) as error:
        config.parse(f"task: image_classification\ndata: {{name: digits}}\nnotify: {section}")

    assert fragment in str(error.value)
    assert "sesame" not in str(error.value)


TOKEN = "T0A1/B2C3/x1y2z3-sesame"


def test_a_webhook_in_the_run_file_is_shown_and_logged_nowhere(hook, tmp_path, caplog):
    url = f"{hook.url}/services/{TOKEN}?key=sesame"
    named = config.load("digits", [f"notify=[{{webhook: '{url}'}}]"])
    hook.refusals = 100

    (problem,) = notifying.send(named.config.notify, {"text": "a", "event": "failure"}, tmp_path, waits=())
    Journal(named, PipelinePaths.of(tmp_path, "digits"), "20260101-000000-000").finish("failed", 1, f"no {url}")
    logged = HidingFormatter("%(message)s").format(
        logging.makeLogRecord({"msg": "POST %s of %s", "args": (url.removeprefix(hook.url), url)})
    )

    record = (tmp_path / "runs" / "digits" / "reports" / "20260101-000000-000.json").read_text()
    shown = [problem, caplog.text, record, logged, named.config.notify[0].name()]
    assert [text for text in shown if "sesame" in text or "B2C3" in text] == []
    assert [text for text in shown if hook.url not in text] == []


def test_a_canary_is_notified_although_the_record_hides_the_webhook(hook, tmp_path):
    named = config.load("digits", [f"notify=[{{webhook: '{hook.url}/services/{TOKEN}'}}, {{webhook: '{hook.url}/2'}}]"])
    paths = PipelinePaths.of(tmp_path, "digits")
    Journal(named, paths, "20260101-000000-000").finish("published", 0, None)
    (paths.serving / "7" / "assets.extra").mkdir(parents=True)
    (paths.serving / "7" / "assets.extra" / "headrace.json").write_text(json.dumps({"run": "20260101-000000-000"}))

    assert notifying.notify_canary_outcome(tmp_path, "digits", 7, "taken back", "too slow") == []

    assert [path for path, *_ in hook.requests] == [f"/services/{TOKEN}", "/2"]
    assert paths.webhooks.stat().st_mode & 0o777 == 0o600


def test_a_webhook_in_the_record_of_an_earlier_release_is_shown_nowhere_and_still_used(hook, tmp_path):
    record = made_up.record_of("20260528-000000-000", made_up.spec_of(("a", "b")))
    record.settings["notify"] = [{"webhook": f"{hook.url}/services/{TOKEN}"}, {"webhook": "${ENV:SLACK_URL}"}]
    made_up.write_record(tmp_path, record)
    paths = PipelinePaths.of(tmp_path, "made_up")

    shown = RunRecord.read(paths.record(record.run)).settings["notify"]

    assert "B2C3" not in json.dumps(shown)
    assert shown[1] == {"webhook": "${ENV:SLACK_URL}"}
    assert webhooks.channels(paths, record.run)[0].webhook == f"{hook.url}/services/{TOKEN}"


def test_the_database_of_schedules_is_private_as_it_holds_webhooks(tmp_path):
    Store.of(tmp_path).add(Schedule("digits", "digits", notify=({"webhook": "http://b/sesame"},)), 0.0)

    files = list((tmp_path / "scheduler").iterdir())

    assert {path.stat().st_mode & 0o007 for path in files} == {0}


def test_the_command_tests_every_channel(hook, tmp_path):
    from tests.conftest import headrace

    file = tmp_path / "mine.yaml"
    file.write_text(
        "task: image_classification\ndata: {name: digits}\n"
        f"notify: [{{file: notifications.jsonl}}, {{webhook: '{hook.url}/x'}}, {{webhook: 'http://127.0.0.1:9/none'}}]\n"
    )

    result = headrace("notify-test", file, "--home", tmp_path)

    assert result.code == 2
    assert "file notifications.jsonl: notified" in result.out
    assert re.search(rf"webhook {hook.url}/\.\.\.[0-9a-f]{{8}}: notified", result.out)
    assert re.search(r"webhook http://127\.0\.0\.1:9/\.\.\.[0-9a-f]{8} could not be notified", result.out)
    assert "1 of 3 could not be notified" in result.err
    assert hook.requests[0][2]["event"] == "test"
