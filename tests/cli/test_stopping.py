"""How ``walkie-signal serve`` ends: by SIGTERM and Ctrl-C, with peers on it, in time and with status 0."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import closing
from socket import create_connection
from urllib.parse import urlsplit

import pytest

from support.processes import SCRIPTS, running
from support.servers import serve
from support.stock import peers
from walkie_signal.cli.serving import HASTE, POLL_TIMEOUT

BOUND = POLL_TIMEOUT + HASTE + 3.0
"""Seconds: what the parts of an end may take, and some for a busy machine."""


@pytest.mark.promise(
    "The command",
    "SIGTERM, SIGHUP and Ctrl-C end it with 0 while peers of any kind are connected; each poll under way "
    "is answered with a close, and stock clients come back",
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0_while_peers_are_connected(number: signal.Signals) -> None:
    async with serve() as server:
        async with (
            peers(server.url, "gate", transport="websocket") as (one,),
            peers(server.url, "gate", transport="polling") as (two,),
        ):
            start = time.monotonic()
            server.program.send_signal(number)
            assert await server.program.wait(BOUND) == 0
            for peer in (one, two):
                await peer.hears("disconnect")
            assert time.monotonic() - start < BOUND
        assert "Traceback" not in server.program.output
        assert "never retrieved" not in server.program.output


async def test_a_second_signal_does_no_harm() -> None:
    async with serve() as server, peers(server.url, "gate"):
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            server.program.send_signal(number)
        assert await server.program.wait(BOUND) == 0
        assert "Traceback" not in server.program.output


@pytest.mark.promise(
    "The command",
    "SIGTERM, SIGHUP and Ctrl-C end it with 0 while peers of any kind are connected; each poll under way "
    "is answered with a close, and stock clients come back",
)
async def test_50_peers_are_told_and_neither_a_stuck_request_nor_a_slow_reader_holds_it_up() -> None:
    async with (
        serve() as server,
        peers(server.url, *["gate"] * 25, transport="websocket") as on_websocket,
        peers(server.url, *["gate"] * 25, transport="polling") as on_polling,
        peers(server.url, "gate") as (reads_nothing,),
    ):
        address = urlsplit(server.url)
        with closing(create_connection((address.hostname, address.port))) as stuck:
            stuck.sendall(
                b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf"
            )
            transport = reads_nothing.sio.eio.ws._response.connection.transport
            transport.pause_reading()
            try:
                server.program.send_signal(signal.SIGTERM)
                assert await server.program.wait(BOUND) == 0
            finally:
                transport.resume_reading()
        told = [await peer.hears("server_draining") for peer in (*on_websocket, *on_polling)]
        delays = {each["retryAfterMs"] for each in told}
        assert min(delays) >= 0
        assert max(delays) <= 5000
        assert len(delays) > 10, "they would all come back at once"
        for peer in (*on_websocket, *on_polling):
            await peer.hears("disconnect")
        assert "Traceback" not in server.program.output


async def test_a_signal_while_it_starts_ends_it() -> None:
    """With no traceback, at whatever moment it comes."""
    for delay in (0.1, 0.5):
        async with running([SCRIPTS / "walkie-signal", "serve", "--port", "0"]) as program:
            await asyncio.sleep(delay)  # the moment is the point
            program.send_signal(signal.SIGTERM)
            assert await program.wait(BOUND) in (0, -signal.SIGTERM)
            assert "Traceback" not in program.output
