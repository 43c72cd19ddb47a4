"""Serves the site on 127.0.0.1; it reads records and artifacts, and writes nothing."""

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from aiohttp import web

from data.errors import ConfigError
from pipeline.core.listening import HOST, listen
from pipeline.ui import pages

# Against DNS rebinding: another site must not read ours by a name that resolves to 127.0.0.1.
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
        board: URL of TensorBoard, for links.
        say: Called with the site's URL.

    Raises:
        ConfigError: The port is taken.
    """
    listening = listen(port)
    say(f"http://{HOST}:{listening.getsockname()[1]}/")
    web.run_app(application(home, board), sock=listening, print=None, access_log=None)


def application(home: Path, board: str) -> web.Application:
    """Returns the site as an aiohttp application."""
    app = web.Application(middlewares=[_check_host_and_errors])
    app[SITE] = pages.Site(home.resolve(), board.rstrip("/"))
    app.add_routes(
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
    return app


@web.middleware
async def _check_host_and_errors(request: web.Request, handler: Callable) -> web.StreamResponse:
    """Refuses other host names, answers errors with a page, and adds headers."""
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
    """Renders a page in a thread, so that one page does not wait for another."""
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
    path = request.match_info
    return web.json_response(await asyncio.to_thread(request.app[SITE].run_json, path["pipeline"], path["run"]))


async def _script(request: web.Request) -> web.Response:
    path = Path(__file__).parents[1] / "templates" / "live.js"
    return web.Response(text=path.read_text(encoding="utf-8"), content_type="text/javascript")


def _filter(request: web.Request) -> pages.Filter:
    """Returns the filter of the query string; raises ConfigError for an invalid date."""
    query = {name: request.query.get(name, "").strip() for name in ("pipeline", "state", "since", "until")}
    try:
        days = {name: date.fromisoformat(query[name]) if query[name] else None for name in ("since", "until")}
    except ValueError as error:
        raise ConfigError(f"A date is written as 2026-11-25 ({error}).") from None
    return pages.Filter(query["pipeline"] or None, query["state"] or None, days["since"], days["until"])


def _number(request: web.Request) -> int:
    """Returns the number of the page, from 1."""
    text = request.query.get("page", "1")
    return max(int(text), 1) if text.isdecimal() else 1
