"""How connections of the protocol class end when the other side does nothing, and when the server shuts down."""

from __future__ import annotations

import asyncio
import signal
import time

import httpx
import pytest

from support.frames import CLOSE, PONG, TEXT, frame
from support.waiting import eventually
from support.wire import GONE, websocket
from transport.direct_servers import OURS, Served, served

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
async def test_a_client_that_answers_no_ping_is_closed(loop: str) -> None:
    with served(OURS, loop, "--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.3") as server:
        async with (
            websocket(server.address, "/direct?id=silent") as silent,
            websocket(server.address, "/echo?id=alive") as alive,
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
            websocket(server.address, "/echo?id=a") as echo,
            websocket(server.address, "/direct?id=b") as direct,
            websocket(server.address, "/direct?id=c", receive_buffer=4096) as stuck,
            websocket(server.address, "/close/1000?id=d") as closing,
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
            await eventually(
                lambda: server.process.poll() is not None, what=lambda: "".join(server.output), within=15
            )
            assert time.monotonic() - start < 4, "".join(server.output)
    assert "Traceback" not in "".join(server.output)


async def _pending(server: Served) -> int:
    async with websocket(server.address, "/pending?id=e") as client:
        return client.status


async def _until(server: Served, name: str, seen: str) -> str:
    """Wait until an app has seen something; returns all that it has."""
    async with httpx.AsyncClient(base_url=server.url) as http:

        async def so_far() -> str:
            return (await http.get(f"/so-far?id={name}")).text

        return await eventually(so_far, lambda told: seen in told, within=10)


@LOOPS
@pytest.mark.parametrize("command", ["close 4000", "", "nonsense"])
async def test_a_connection_that_closes_and_takes_nothing_is_let_go(loop: str, command: str) -> None:
    """By the app, by the client's CLOSE, by a violation: uvicorn's own class would keep it for ever."""
    ending = {"": frame(CLOSE), "nonsense": frame(3)}.get(command) or frame(TEXT, command)
    with served(OURS, loop, "--factory", app="transport.direct_app:impatient") as server:
        async with websocket(server.address, "/direct?id=stuck", receive_buffer=4096) as stuck:
            await stuck.send(frame(TEXT, "flood 2000"))
            await _until(server, "stuck", '["waiting",true]')
            await stuck.send(ending)
            assert "disconnect" in await _until(server, "stuck", "disconnect")
            await _none_open(server)


async def _none_open(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        await eventually(lambda: http.get("/open"), lambda answer: answer.text == "0", "closed", within=10)
