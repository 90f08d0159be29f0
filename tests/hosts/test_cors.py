"""Cross-origin requests: one Access-Control-Allow-Origin, never two, and no credentials for just anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import socketio
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from hosts.ways import OURS, SERVERS, WAYS, Way, site
from support.heads import WEBSOCKET
from support.servers import hosted
from support.stock import web
from support.wire import websocket
from walkie_signal import SignalingMiddleware, SignalingNamespace, attach

PAGE, STRANGER = "https://page.example", "https://stranger.example"

POLL = "/socket.io/?EIO=4&transport=polling"

ANY: dict[str, Any] = {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]}
ONE: dict[str, Any] = {**ANY, "allow_origins": [PAGE], "allow_credentials": True}
"""How hosts configure the middleware of Starlette."""


async def allowed(url: str, origin: str, path: str = POLL, method: str = "GET") -> list[str]:
    """Return each Access-Control-Allow-Origin of an answer; the stranger is granted no credentials.

    A browser grants none for ``*``, whatever else the answer says.
    """
    asking = {"access-control-request-method": "POST"} if method == "OPTIONS" else {}
    async with web(url) as http:
        answer = await http.request(method, path, headers={"origin": origin, **asking})
    origins = answer.headers.get_list("access-control-allow-origin")
    if "access-control-allow-credentials" in answer.headers:
        assert STRANGER not in origins, answer.headers
    return origins


async def upgrade_status(url: str, origin: str) -> int:
    """Return the status that a page's WebSocket gets; 101 is a connection."""
    async with websocket(url, WEBSOCKET, [f"Origin: {origin}"]) as page:
        return page.status


@pytest.mark.promise(
    "Hosts", "There is one `Access-Control-Allow-Origin`, never two; `*` comes without credentials"
)
@pytest.mark.parametrize(("way", "rules"), [*((way, ONE) for way in WAYS.values()), (WAYS["attach"], ANY)])
async def test_cors_inside(way: Way, rules: dict[str, Any]) -> None:
    """The host's middleware is for the host's routes, ours for our path."""
    host = site()
    host.app.add_middleware(CORSMiddleware, **rules)
    async with hosted(way(host.app, "/socket.io")) as url:
        for method in ("GET", "OPTIONS"):
            assert await allowed(url, PAGE, method=method) in ([PAGE], ["*"])
            assert await allowed(url, PAGE, "/health", method) in ([PAGE], ["*"])
        assert await upgrade_status(url, PAGE) == 101


@pytest.mark.promise(
    "Hosts", "There is one `Access-Control-Allow-Origin`, never two; `*` comes without credentials"
)
@pytest.mark.parametrize(("way", "rules"), [*((way, ONE) for way in OURS.values()), (OURS["attach"], ANY)])
async def test_cors_around_us(way: Way, rules: dict[str, Any]) -> None:
    host = site()
    app = CORSMiddleware(way(host.app, "/socket.io"), **rules)
    async with hosted(app) as url:
        for path in (POLL, "/health"):
            for method in ("GET", "OPTIONS"):
                assert await allowed(url, PAGE, path, method) in ([PAGE], ["*"])
        assert len(await allowed(url, STRANGER)) == 1
        assert await upgrade_status(url, PAGE) == 101


@pytest.mark.parametrize("outermost", [CORSMiddleware, SignalingMiddleware])
async def test_both_as_middleware_in_either_order(outermost: type) -> None:
    """What `add_middleware` gets last is outermost."""
    app = FastAPI()
    if outermost is SignalingMiddleware:
        app.add_middleware(CORSMiddleware, **ONE)
    app.add_middleware(SignalingMiddleware, cors_origins=[PAGE])
    if outermost is CORSMiddleware:
        app.add_middleware(CORSMiddleware, **ONE)
    async with hosted(app) as url:
        for method in ("GET", "OPTIONS"):
            assert await allowed(url, PAGE, method=method) == [PAGE]
            assert await allowed(url, STRANGER, method=method) == []


async def test_cors_around_the_namespace_alone() -> None:
    """There nothing of ours sees the answer: the host's server is told to leave CORS to the middleware."""
    sio = SERVERS["stock"](cors_allowed_origins=[])
    sio.register_namespace(SignalingNamespace())
    async with hosted(CORSMiddleware(socketio.ASGIApp(sio, FastAPI()), **ONE)) as url:
        assert await allowed(url, PAGE) == [PAGE]
        assert await allowed(url, STRANGER) == []


@pytest.mark.parametrize("origins", [PAGE, ("https://other.example", PAGE)])
async def test_origins_that_are_named_are_the_only_ones(origins: str | Sequence[str]) -> None:
    async with hosted(attach(FastAPI(), cors_origins=origins)) as url:
        assert await allowed(url, PAGE) == [PAGE]
        assert await upgrade_status(url, PAGE) == 101
        for foreign in (STRANGER, "null", PAGE + ".evil.example", "http://page.example"):
            assert await allowed(url, foreign) == []
            assert 400 <= await upgrade_status(url, foreign) < 500


@pytest.mark.promise(
    "Hosts", "There is one `Access-Control-Allow-Origin`, never two; `*` comes without credentials"
)
async def test_any_origin_goes_without_credentials() -> None:
    async with hosted(attach(FastAPI())) as url, web(url) as http:
        for method in ("GET", "OPTIONS"):
            answer = await http.request(method, POLL, headers={"origin": STRANGER})
            assert answer.headers.get_list("access-control-allow-origin") in (["*"], [STRANGER])
            assert "access-control-allow-credentials" not in answer.headers
        assert await upgrade_status(url, STRANGER) == 101


async def test_who_names_no_origin_is_no_page_and_is_let_in() -> None:
    async with hosted(attach(FastAPI(), cors_origins=[PAGE])) as url, web(url) as http:
        assert (await http.get(POLL)).status_code == 200
