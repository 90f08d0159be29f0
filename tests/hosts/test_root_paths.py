"""Under a root path, mounted under a prefix, and beside static files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from hosts.ways import OURS, Way, site
from support.servers import hosted
from support.stock import TRANSPORTS, meet, web
from walkie_signal import SignalingNamespace, attach

wrapped = pytest.mark.parametrize("way", OURS.values(), ids=OURS.keys())


@pytest.mark.promise("Hosts", "It works under prefix paths, root paths and mounts")
@wrapped
async def test_under_a_root_path(way: Way) -> None:
    """uvicorn puts the root path, which its proxy has stripped, before each path."""
    host = site()
    async with hosted(way(host.app, "/socket.io"), root_path="/backend") as url:
        await meet(url)
        async with web(url) as http:
            assert (await http.get("/health")).status_code == 200


@pytest.mark.promise("Hosts", "It works under prefix paths, root paths and mounts")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_app_with_signaling_is_mounted_in_another(transport: str) -> None:
    """A sub-app has no lifespan: the first connection starts what it needs, and `close` ends it."""
    signaling = SignalingNamespace()
    inner = attach(FastAPI(), signaling=signaling)
    left: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await signaling.close()
        left.extend(await signaling.rooms())

    outer = Starlette(routes=[Mount("/rtc", inner)], lifespan=lifespan)
    async with hosted(outer) as url, web(url) as http:
        await meet(url, path="/rtc/socket.io", transport=transport)
        assert (await http.get("/socket.io/?EIO=4&transport=polling")).status_code == 404
    assert left == []


async def test_an_app_with_signaling_is_mounted_under_a_root_path() -> None:
    outer = FastAPI()
    outer.mount("/rtc", attach(FastAPI()))
    async with hosted(outer, root_path="/backend") as url:
        await meet(url, path="/rtc/socket.io")


@wrapped
async def test_static_files_at_the_root_do_not_hide_the_signaling(way: Way, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("a page")
    host = site()
    host.app.mount("/", StaticFiles(directory=tmp_path, html=True))
    async with hosted(way(host.app, "/socket.io")) as url, web(url) as http:
        assert (await http.get("/")).text == "a page"
        await meet(url)


async def test_an_app_without_lifespan_or_routes() -> None:
    """Any ASGI app will do, one that knows no lifespan among them."""

    async def plain(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"tea"})

    async with hosted(attach(plain)) as url, web(url) as http:
        assert (await http.get("/")).status_code == 418
        await meet(url)
