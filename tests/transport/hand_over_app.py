"""An ASGI app of a server that hands requests over, for tests that run it as a program."""

# python-socketio has no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import os
from typing import Any

from walkie_signal import attach
from walkie_signal.transport import create_server

sio: Any = create_server(hand_over=True)


@sio.on("pid")
async def pid(sid: str) -> int:
    return os.getpid()


@sio.on("echo")
async def echo(sid: str, value: Any) -> Any:
    return value


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


REDIS_URL = os.environ.get("REDIS_URL")
signaling = attach(nothing_here, backend=REDIS_URL) if REDIS_URL else attach(nothing_here, sio=sio)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Say in each answer which worker its request has come to."""

    async def send_signed(message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"].append((b"x-worker", str(os.getpid()).encode()))
        await send(message)

    await signaling(scope, receive, send_signed if scope["type"] == "http" else send)
