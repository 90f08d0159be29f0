"""What an answer to a poll holds: to a Python client no more packets than it takes, and the rest later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import socketio

from hosts.peers import peers
from support.servers import hosted
from transport.raw import Raw
from transport.serving import nothing_left, poll_waits, serving
from walkie_signal.transport import create_server

PYTHON = {"user-agent": "Python/3.11 aiohttp/3.11"}
MOST = 16
"""python-engineio's client gives up at an answer of more packets."""


async def poll_to_the_end(client: Raw, sid: str, answer: Any = None) -> list[list[str]]:
    """Poll until CLOSE; returns the packets of each answer."""
    answers: list[list[str]] = []
    while not answers or answers[-1][-1] != "1":
        polled = await (answer or client.get(sid))
        answer = None
        assert polled.status_code == 200, (polled.text, answers)
        answers.append(polled.text.split("\x1e"))
    return answers


@pytest.mark.parametrize("polls", [False, True], ids=["between two polls", "while it polls"])
@pytest.mark.parametrize("count", [MOST - 2, MOST - 1, MOST, 2 * MOST - 1])
async def test_a_farewell_behind_as_many_packets_as_fit_comes_with_the_next_poll(
    count: int, *, polls: bool
) -> None:
    """The events, the DISCONNECT and the CLOSE of a kicked Python client, in order and 16 at a time."""
    sio = create_server()
    async with serving(sio) as client:
        client.http.headers.update(PYTHON)
        sid = await client.joined_polling()
        (socket,) = sio.manager.rooms["/"][None]
        poll = asyncio.create_task(client.get(sid)) if polls else None
        if poll is not None:
            await poll_waits(sio, sid)
        for number in range(count):
            await sio.emit("number", number, to=socket)
        await sio.disconnect(socket)
        answers = await poll_to_the_end(client, sid, poll)
        assert max(map(len, answers)) <= MOST
        events = [f'42["number",{number}]' for number in range(count)]
        assert [packet for answer in answers for packet in answer] == [*events, "41", "1"]
        assert (await client.get(sid)).status_code == 400
        await nothing_left(sio)


async def test_other_clients_get_all_in_one_answer() -> None:
    sio = create_server()
    async with serving(sio) as client:
        sid = await client.joined_polling()
        (socket,) = sio.manager.rooms["/"][None]
        for number in range(100):
            await sio.emit("number", number, to=socket)
        await sio.disconnect(socket)
        assert (await client.get(sid)).text.count("\x1e") == 101


@pytest.mark.parametrize("count", [MOST - 2, MOST - 1, MOST])
async def test_a_python_client_hears_all_of_a_burst_before_it_is_kicked(count: int) -> None:
    sio = create_server()
    async with hosted(socketio.ASGIApp(sio)) as url, peers(url, None, transport="polling") as (peer,):
        for number in range(count):
            await sio.emit("number", number, to=peer.peer_id)
        await sio.disconnect(peer.peer_id)
        # its events are tasks, and its disconnect is told at once
        await peer.until(lambda: len(peer.heard) > count, "disconnect and all that came before it")
        assert [data for event, data in peer.heard if event == "number"] == [*range(count)]
        assert ("disconnect", "server disconnect") in peer.heard
