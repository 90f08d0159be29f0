"""How connections of the protocol class end when the other side does nothing, and when the server shuts down."""

from __future__ import annotations

import asyncio
import signal
import time

import httpx
import pytest

from transport.direct_peer import CLOSE, GONE, PONG, TEXT, frame, peer
from transport.direct_servers import OURS, Served, served

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
async def test_a_client_that_answers_no_ping_is_closed(loop: str) -> None:
    with served(OURS, loop, "--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.3") as server:
        async with (
            peer(server.address, "/direct?id=silent") as silent,
            peer(server.address, "/echo?id=alive") as alive,
        ):
            for _ in range(4):
                kind, payload = await alive.hear()
                assert kind == "ping"
                await alive.send(frame(PONG, payload))
            heard = await silent.hear_all()
            assert [event[:2] for event in heard[1:]] == [("close", 1011), GONE]
            await alive.send(frame(TEXT, "still here"))
            while (event := await alive.hear())[0] == "ping":
                pass
            assert event == ("text", "still here")


@LOOPS
async def test_shutdown_tells_1012_and_is_held_up_by_nobody(loop: str) -> None:
    """Neither by one that has left 20 MB unread, nor by one that answers no CLOSE, nor by one not accepted."""
    with served(OURS, loop) as server:
        async with (
            peer(server.address, "/echo?id=a") as echo,
            peer(server.address, "/direct?id=b") as direct,
            peer(server.address, "/direct?id=c", receive_buffer=4096) as stuck,
            peer(server.address, "/close/1000?id=d") as closing,
        ):
            await stuck.send(frame(TEXT, "flood 2000"))
            await _until(server, "c", '["waiting",true]')
            assert await closing.hear() == ("close", 1000, "")
            pending = asyncio.create_task(_pending(server))
            await _until(server, "e", '["here"]')
            start = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for client in (echo, direct):
                assert await client.hear_all() == [("close", 1012, ""), GONE]
            assert await closing.hear_all() == [GONE]
            assert await pending == 500
            while server.process.poll() is None:
                assert time.monotonic() - start < 15, "".join(server.output)
                await asyncio.sleep(0.05)
            assert time.monotonic() - start < 4, "".join(server.output)
    assert "Traceback" not in "".join(server.output)


async def _pending(server: Served) -> int:
    async with peer(server.address, "/pending?id=e") as client:
        return client.status


async def _until(server: Served, name: str, seen: str) -> str:
    """Wait until an app has seen something; returns all that it has."""
    async with httpx.AsyncClient(base_url=server.url) as http:
        start = time.monotonic()
        while seen not in (so_far := (await http.get(f"/so-far?id={name}")).text):
            assert time.monotonic() - start < 10, so_far
            await asyncio.sleep(0.02)
        return so_far


@LOOPS
@pytest.mark.parametrize("command", ["close 4000", "", "nonsense"])
async def test_a_connection_that_closes_and_takes_nothing_is_let_go(loop: str, command: str) -> None:
    """By the app, by the client's CLOSE, by a violation: uvicorn's own class would keep it for ever."""
    ending = {"": frame(CLOSE), "nonsense": frame(3)}.get(command) or frame(TEXT, command)
    with served(OURS, loop, "--factory", app="transport.direct_app:impatient") as server:
        async with peer(server.address, "/direct?id=stuck", receive_buffer=4096) as stuck:
            await stuck.send(frame(TEXT, "flood 2000"))
            await _until(server, "stuck", '["waiting",true]')
            await stuck.send(ending)
            assert "disconnect" in await _until(server, "stuck", "disconnect")
            await _none_open(server)


async def _none_open(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        start = time.monotonic()
        while (count := (await http.get("/open")).text) != "0":
            assert time.monotonic() - start < 10, f"{count} open"
            await asyncio.sleep(0.05)
