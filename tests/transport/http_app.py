"""An app of plain HTTP that answers when a test lets it, on our HTTP protocol class over both of uvicorn's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.servers import hosted
from support.wire import Wire, wire
from walkie_signal.direct.http import BoundedH11Protocol, BoundedHttpToolsProtocol


class App:
    """Answers each request once it may, after it has read its body where the path says so.

    Attributes:
        heard: The paths, in order.
        bodies: What was read of those that say so.
        begun: Set once a request has come.
        gone: How many requests have heard of a disconnect.
        may_answer: Set where it may.
        body: What it answers.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.bodies: list[bytes] = []
        self.begun = asyncio.Event()
        self.gone = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.body = b"ok"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await receive()
            await receive()
        elif scope["type"] == "http":
            self.heard.append(scope["path"])
            self.begun.set()
            more = scope["path"] == "/read"
            if more:
                self.bodies.append(b"")
            while more:
                event = await receive()
                self.bodies[-1] += event.get("body", b"")
                self.gone += event["type"] == "http.disconnect"
                more = event.get("more_body", False)
            await self.may_answer.wait()
            length = (b"content-length", b"%d" % len(self.body))
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture(params=[BoundedHttpToolsProtocol, BoundedH11Protocol], ids=["httptools", "h11"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def calling(app: App, protocol: Any, **config: Any) -> AsyncIterator[Wire]:
    async with hosted(app, http=protocol, lifespan="off", **config) as url, wire(url) as made:
        yield made
