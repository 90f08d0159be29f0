"""The check of origins is one, by whatever way signaling comes in and whatever carries a peer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import socketio
from fastapi import FastAPI

from hosts.test_cors import POLL, allowed, upgrade_status
from hosts.ways import SERVERS
from support.servers import hosted, serve
from support.stock import web
from walkie_signal import SignalingMiddleware, SignalingNamespace, attach, create_server
from walkie_signal.bounded_log import MOST
from walkie_signal.transport import beneath

LISTED = ("https://page.example", "https://*.apps.example", "capacitor://localhost", "null")

Server = Callable[[Sequence[str]], AbstractAsyncContextManager[str]]


def by_middleware(origins: Sequence[str]) -> Any:
    app = FastAPI()
    app.add_middleware(SignalingMiddleware, cors_origins=origins)
    return app


def by_own_server(origins: Sequence[str]) -> Any:
    return attach(FastAPI(), sio=create_server(cors_allowed_origins=list(origins)))


def by_namespace(origins: Sequence[str]) -> Any:
    sio = create_server(cors_allowed_origins=list(origins))
    sio.register_namespace(SignalingNamespace())
    return socketio.ASGIApp(sio, FastAPI())


MADE: dict[str, Callable[[Sequence[str]], Any]] = {
    "attach": lambda origins: attach(FastAPI(), cors_origins=origins),
    "middleware": by_middleware,
    "create_server": by_own_server,
    "namespace": by_namespace,
}


def in_process(name: str) -> Server:
    @asynccontextmanager
    async def run(origins: Sequence[str]) -> AsyncIterator[str]:
        async with hosted(MADE[name](origins)) as url:
            yield url

    return run


@asynccontextmanager
async def by_command(origins: Sequence[str]) -> AsyncIterator[str]:
    options = [part for each in origins for part in ("--cors-origin", each)]
    async with serve(*options) as server:
        yield server.url


EVERY: dict[str, Server] = {**{name: in_process(name) for name in MADE}, "serve": by_command}

every_way = pytest.mark.parametrize("server", EVERY.values(), ids=EVERY.keys())


async def let_in(url: str, origin: str) -> bool:
    """Tell whether a page is, which polling, a preflight and WebSocket have to agree on."""
    polling, preflight = [await allowed(url, origin, method=method) for method in ("GET", "OPTIONS")]
    assert polling == preflight
    assert polling in ([origin], [])
    assert (await upgrade_status(url, origin) == 101) is bool(polling)
    return bool(polling)


@pytest.mark.promise(
    "Hosts",
    "Every way in checks origins by the same rules: matches, values refused at the start, the server's own "
    "host, one log line for a refusal",
)
@every_way
async def test_who_is_let_in(server: Server) -> None:
    async with server(LISTED) as url:
        own = url
        for origin in (
            "https://PAGE.example:443",
            "https://a.b.apps.example",
            "capacitor://localhost",
            "null",
            own,
        ):
            assert await let_in(url, origin), origin
        for origin in (
            "https://apps.example",
            "http://page.example",
            "file://",
            own + "1",
            "https://page.example, null",
        ):
            assert not await let_in(url, origin), origin


@pytest.mark.parametrize("name", ["attach", "middleware"])
async def test_an_empty_list_lets_in_the_own_host_only(name: str) -> None:
    """A variable that was not set gives one; to `create_server` it says not to check, as to python-socketio."""
    async with EVERY[name]([]) as url:
        assert await let_in(url, url)
        assert not await let_in(url, "https://page.example")


async def test_without_a_word_of_origins_create_server_lets_in_the_own_host_only() -> None:
    async with hosted(attach(FastAPI(), sio=create_server())) as url:
        assert await let_in(url, url)
        assert not await let_in(url, "https://page.example")


@pytest.mark.promise(
    "Hosts",
    "Every way in checks origins by the same rules: matches, values refused at the start, the server's own "
    "host, one log line for a refusal",
)
@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    "origin", ["page.example", "https://page.example/app", "https://a.*.example", "wss://page.example"]
)
def test_what_lets_nobody_in_is_refused_at_the_start(name: str, origin: str) -> None:
    with pytest.raises(ValueError, match="lets nobody in"):
        started(MADE[name], ["https://page.example", origin])
    with pytest.raises(ValueError, match="leave the others out"):
        started(MADE[name], ["https://page.example", "*"])


def started(make: Callable[[Sequence[str]], Any], origins: Sequence[str]) -> None:
    app = make(origins)
    if isinstance(app, FastAPI):
        app.build_middleware_stack()  # which the server's start does


def test_what_is_set_later_is_checked_too() -> None:
    sio = create_server(cors_allowed_origins="*")
    with pytest.raises(ValueError, match="no scheme"):
        sio.eio.cors_allowed_origins = ["page.example"]
    assert sio.eio.cors_allowed_origins == "*"


def test_origins_for_a_server_that_is_there_already_are_refused() -> None:
    signaling = SignalingNamespace()
    attach(FastAPI(), signaling=signaling)
    with pytest.raises(ValueError, match="cors_allowed_origins"):
        attach(FastAPI(), signaling=signaling, cors_origins=["https://page.example"])


async def test_a_function_of_the_hosts_decides_with_the_request_or_without() -> None:
    functions: tuple[Callable[..., bool], ...] = (
        lambda origin: origin == "https://page.example",
        lambda origin, environ: (
            origin == "https://page.example" and environ["PATH_INFO"].startswith("/socket.io")
        ),
    )
    for function in functions:
        async with hosted(attach(FastAPI(), sio=create_server(cors_allowed_origins=function))) as url:
            assert await let_in(url, "https://page.example")
            assert not await let_in(url, "https://other.example")


@pytest.mark.promise(
    "Hosts",
    "Every way in checks origins by the same rules: matches, values refused at the start, the server's own "
    "host, one log line for a refusal",
)
async def test_a_page_that_came_by_tls_passes_behind_a_proxy_that_takes_it_away() -> None:
    """The page's address is the proxy's, and uvicorn is told of neither."""
    async with hosted(attach(FastAPI(), cors_origins=["https://page.example"])) as url, web(url) as http:
        for origin, forwarded, status in (
            ("https://calls.example", {}, 200),
            ("https://calls.example", {"x-forwarded-proto": "https"}, 200),
            ("http://calls.example", {}, 200),
            ("http://calls.example", {"x-forwarded-proto": "https"}, 403),
            ("https://calls.example:8443", {}, 403),
            ("https://evil.example", {"x-forwarded-host": "evil.example"}, 403),
        ):
            asking = {"host": "calls.example", "origin": origin, **forwarded}
            assert (await http.get(POLL, headers=asking)).status_code == status, asking


@pytest.mark.promise(
    "Hosts",
    "Every way in checks origins by the same rules: matches, values refused at the start, the server's own "
    "host, one log line for a refusal",
)
async def test_a_refusal_is_a_line_that_is_bounded_and_holds_nothing_raw(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hosted(attach(FastAPI(), cors_origins=LISTED)) as url, web(url) as http:
        for origin in (
            "https://evil.example",
            "x" * 5000,
            "r\u00e9d\x9b31m\twide",
            *("https://more.example",) * 50,
        ):
            answer = await http.get(POLL, headers=[(b"origin", origin.encode("latin-1"))])
            assert (answer.status_code, answer.json()["message"]) == (403, "Forbidden")
    lines = [record.getMessage() for record in caplog.records if "origin refused" in record.getMessage()]
    assert 0 < len(lines) <= MOST + 1
    assert "'https://evil.example' is not in the list" in lines[0]
    assert url.removeprefix("http://") in lines[0]
    assert all(len(line) < 300 and line.isascii() and line.isprintable() for line in lines)
    assert {record.levelno for record in caplog.records if "origin refused" in record.getMessage()} == {
        logging.WARNING
    }


async def test_a_stock_server_stays_as_python_socketio_has_it() -> None:
    sio = SERVERS["stock"](cors_allowed_origins=["https://page.example", "https://*.apps.example"])
    async with hosted(attach(FastAPI(), sio=sio)) as url:
        assert await upgrade_status(url, "https://page.example") == 101
        for origin in ("https://a.apps.example", "https://PAGE.example", url):
            assert await upgrade_status(url, origin) != 101


async def test_a_stock_server_in_place_of_ours_lets_in_whom_ours_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after an upgrade of python-socketio that the transport does not know."""
    monkeypatch.setattr(beneath, "missing", lambda: ["something"])
    async with hosted(attach(FastAPI(), cors_origins=LISTED)) as url:
        for origin in ("https://PAGE.example", "https://a.apps.example", "null", url):
            assert await upgrade_status(url, origin) == 101, origin
        for origin in ("https://apps.example", "https://evil.example"):
            assert await upgrade_status(url, origin) != 101, origin
    async with hosted(attach(FastAPI())) as url:
        assert await upgrade_status(url, "https://evil.example") == 101
