"""A server of the transport's tests, and what it has left when all is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio

from support.servers import hosted
from transport.raw import Raw, raw


def left(sio: Any) -> list[Any]:
    """List what is left of connections, in every table that there is."""
    manager = sio.manager
    tables = [
        sio.eio.sockets, sio.environ, manager.rooms, manager.callbacks, manager.pending_connect,
        manager.pending_disconnect,
    ]  # fmt: skip
    return [table for table in tables if table]


async def nothing_left(sio: Any, within: float = 2.0) -> None:
    deadline = asyncio.get_running_loop().time() + within
    while left(sio):
        assert asyncio.get_running_loop().time() < deadline, left(sio)
        await asyncio.sleep(0.01)


async def poll_waits(sio: Any, sid: str, within: float = 5.0) -> None:
    """Wait until a poll of a session has arrived, and waits for something."""
    deadline = asyncio.get_running_loop().time() + within
    while sio.eio.sockets[sid].carrier._poll is None:
        assert asyncio.get_running_loop().time() < deadline, f"no poll within {within} s"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(sio: Any) -> AsyncIterator[Raw]:
    async with hosted(socketio.ASGIApp(sio)) as url, raw(f"{url}/socket.io/") as client:
        yield client
