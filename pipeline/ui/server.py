"""Serves the site on 127.0.0.1: reads records and artifacts, and writes nothing."""

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from aiohttp import web

from data.errors import ConfigError
from pipeline.core.listening import HOST, listen
from pipeline.ui import pages

# A page of another site must not read ours through a name that it points at 127.0.0.1.
NAMES = ("127.0.0.1", "localhost")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SITE = web.AppKey("site", pages.Site)


def serve(home: Path, port: int, board: str, say: Callable[[str], Any]) -> None:
    """Serves the site until SIGINT or SIGTERM.

    Args:
        home: Folder of `runs/` and `serving/`.
        port: Port on 127.0.0.1; 0 picks a free one.
        board: Where TensorBoard is, for links.
        say: Is told the site's address.

    Raises:
        ConfigError: The port is taken.
    """
    listening = listen(port)
    say(f"http://{HOST}:{listening.getsockname()[1]}/")
    web.run_app(application(home, board), sock=listening, print=None, access_log=None)


def application(home: Path, board: str) -> web.Application:
    """Returns the site as an aiohttp application."""
    made = web.Application(middlewares=[_guard])
    made[SITE] = pages.Site(home.resolve(), board.rstrip("/"))
    made.add_routes(
        [
            web.get("/", _pipelines),
            web.get("/runs", _runs),
            web.get("/pipelines/{pipeline}", _pipeline),
            web.get("/runs/{pipeline}/{run}", _run),
            web.get("/runs/{pipeline}/{run}/report", _report),
            web.get("/runs/{pipeline}/{run}/log", _log),
            web.get("/compare", _compare),
            web.get("/api/runs", _api_runs),
            web.get("/api/runs/{pipeline}/{run}", _api_run),
            web.get("/live.js", _script),
        ]
    )
    return made


@web.middleware
async def _guard(request: web.Request, handler: Callable) -> web.StreamResponse:
    """Refuses other hosts' names, and turns what is asked wrongly into a page that says so."""
    if (request.url.host or "") not in NAMES:
        return web.Response(status=403, text=f"This site answers to {' and '.join(NAMES)} only.")
    site = request.app[SITE]
    try:
        response = await handler(request)
    except ConfigError as error:
        response = _html(site.error(str(error)), 404)
    except web.HTTPNotFound:
        response = _html(site.error(f"There is no page {request.path}."), 404)
    response.headers.update(HEADERS)
    if request.path.endswith("/report"):  # has a policy of its own, and no script
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return response


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)


async def _page(request: web.Request, make: Callable[..., str], *arguments: Any) -> web.Response:
    """Makes a page beside the event loop: another one in progress does not keep it waiting."""
    return _html(await asyncio.to_thread(make, *arguments))


async def _pipelines(request: web.Request) -> web.Response:
    return await _page(request, request.app[SITE].pipelines)


async def _pipeline(request: web.Request) -> web.Response:
    return await _page(request, request.app[SITE].pipeline, request.match_info["pipeline"])


async def _runs(request: web.Request) -> web.Response:
    return await _page(request, request.app[SITE].runs, _filter(request), _number(request))


async def _run(request: web.Request) -> web.Response:
    return await _page(request, request.app[SITE].run, request.match_info["pipeline"], request.match_info["run"])


async def _report(request: web.Request) -> web.Response:
    return await _page(request, request.app[SITE].report, request.match_info["pipeline"], request.match_info["run"])


async def _compare(request: web.Request) -> web.Response:
    return await _page(request, request.app[SITE].compare, request.query.getall("run", []))


async def _log(request: web.Request) -> web.Response:
    text = await asyncio.to_thread(request.app[SITE].log, request.match_info["pipeline"], request.match_info["run"])
    return web.Response(text=text, content_type="text/plain")


async def _api_runs(request: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(request.app[SITE].runs_json, _filter(request)))


async def _api_run(request: web.Request) -> web.Response:
    found = request.match_info
    return web.json_response(await asyncio.to_thread(request.app[SITE].run_json, found["pipeline"], found["run"]))


async def _script(request: web.Request) -> web.Response:
    path = Path(__file__).parents[1] / "templates" / "live.js"
    return web.Response(text=path.read_text(encoding="utf-8"), content_type="text/javascript")


def _filter(request: web.Request) -> pages.Filter:
    """Returns what the query string asks for; raises ConfigError for a date that is none."""
    asked = {name: request.query.get(name, "").strip() for name in ("pipeline", "state", "since", "until")}
    try:
        days = {name: date.fromisoformat(asked[name]) if asked[name] else None for name in ("since", "until")}
    except ValueError as error:
        raise ConfigError(f"A date is written as 2026-11-25 ({error}).") from None
    return pages.Filter(asked["pipeline"] or None, asked["state"] or None, days["since"], days["until"])


def _number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    return max(int(text), 1) if text.isdecimal() else 1
