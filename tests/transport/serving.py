"""A server of the transport's tests, and what it has left when all is over."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio

from support.raw import Raw, raw
from support.servers import hosted
from support.waiting import eventually


def left(sio: Any) -> list[Any]:
    """List what is left of connections, in every table that there is."""
    manager = sio.manager
    tables = [
        sio.eio.sockets, sio.environ, manager.rooms, manager.callbacks, manager.pending_connect,
        manager.pending_disconnect,
    ]  # fmt: skip
    return [table for table in tables if table]


async def nothing_left(sio: Any, within: float = 2.0) -> None:
    await eventually(lambda: left(sio), operator.not_, "gone", within=within)


async def poll_waits(sio: Any, sid: str) -> None:
    """Wait until a poll of a session has arrived, and waits for something."""
    await eventually(lambda: sio.eio.sockets[sid].carrier._poll, what="a poll")


@asynccontextmanager
async def serving(sio: Any) -> AsyncIterator[Raw]:
    async with hosted(socketio.ASGIApp(sio)) as url, raw(f"{url}/socket.io/") as client:
        yield client
