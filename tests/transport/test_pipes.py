"""The end of a pipe between two processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from walkie_signal.transport.workers import pipes
from walkie_signal.transport.workers.pipes import READ, Pipe, encode

LAST = {"type": "last", "body": b"x" * 1000}


@asynccontextmanager
async def pipe_to_a_socket() -> AsyncIterator[tuple[Pipe, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    transport, pipe = await asyncio.get_running_loop().create_connection(Pipe, sock=ours)
    try:
        yield pipe, theirs
    finally:
        transport.abort()
        theirs.close()


async def read_all(theirs: socket.socket) -> bytes:
    """Read until the other end says that there is no more."""
    loop = asyncio.get_running_loop()
    pieces = []
    while piece := await asyncio.wait_for(loop.sock_recv(theirs, 1 << 16), 5):
        pieces.append(piece)
    return b"".join(pieces)


async def test_what_was_written_before_a_close_arrives_though_the_other_end_goes_on_writing() -> None:
    """A socket that is closed as a whole is reset by what comes to it, and what is on its way back is gone."""
    async with pipe_to_a_socket() as (pipe, theirs):
        await pipe.send(LAST)
        pipe.close()
        for _ in range(3):
            await asyncio.sleep(0)  # a transport that closes as a whole has done it by then
        theirs.sendall(encode({"type": READ, "size": 1}))
        assert await read_all(theirs) == encode(LAST)


async def test_an_end_that_never_closes_keeps_no_pipe_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "CLOSE_TIMEOUT", 0.05)
    async with pipe_to_a_socket() as (pipe, theirs):
        pipe.close()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(pipe, "connection_lost", lambda _: lost.set_result(None))
        await asyncio.wait_for(lost, 5)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            theirs.sendall(b"x")
