"""What an answer to a poll holds: 16 packets at most, as a Python client takes, unless it is known to take more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import socketio

from support.raw import Raw
from support.servers import hosted
from support.stock import peers, web
from transport.serving import nothing_left, poll_waits, serving
from walkie_signal.transport import create_server

PYTHON = {"user-agent": "Python/3.11 aiohttp/3.11"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
UNLIMITED = [
    FIREFOX,
    "okhttp/4.12.0",
    "node-XMLHttpRequest",
    "node",
    "Dart/3.5 (dart:io)",
    "App/7 CFNetwork/1494 Darwin/23.4",
]
LIMITED = ["Python/3.11 aiohttp/3.11", "python-requests/2.32", "MyApp/1.0", "", "python-httpx/0.28"]
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


@pytest.mark.promise(
    "The transport",
    "A Python client that polls, whatever its user agent, is never sent more packets than it accepts, even "
    "with a farewell; a client known to accept any number gets all at once",
)
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


@pytest.mark.promise(
    "The transport",
    "A Python client that polls, whatever its user agent, is never sent more packets than it accepts, even "
    "with a farewell; a client known to accept any number gets all at once",
)
@pytest.mark.parametrize("agent", UNLIMITED)
async def test_who_is_known_to_take_any_number_gets_all_in_one_answer(agent: str) -> None:
    sio = create_server()
    async with serving(sio) as client:
        client.http.headers["user-agent"] = agent
        sid = await client.joined_polling()
        (socket,) = sio.manager.rooms["/"][None]
        for number in range(100):
            await sio.emit("number", number, to=socket)
        await sio.disconnect(socket)
        assert (await client.get(sid)).text.count("\x1e") == 100


@pytest.mark.promise(
    "The transport",
    "A Python client that polls, whatever its user agent, is never sent more packets than it accepts, even "
    "with a farewell; a client known to accept any number gets all at once",
)
@pytest.mark.parametrize("agent", LIMITED)
async def test_who_is_not_gets_16_in_an_answer_and_the_rest_at_once_and_in_order(agent: str) -> None:
    sio = create_server()
    async with serving(sio) as client:
        client.http.headers["user-agent"] = agent
        sid = await client.joined_polling()
        for number in range(3 * MOST):
            await sio.emit("number", number)
        answers = [(await client.get(sid, within=0.5)).text.split("\x1e") for _ in range(3)]
        assert [len(answer) for answer in answers] == [MOST] * 3
        assert [packet for answer in answers for packet in answer] == [
            f'42["number",{number}]' for number in range(3 * MOST)
        ]


@pytest.mark.promise(
    "The transport",
    "A Python client that polls, whatever its user agent, is never sent more packets than it accepts, even "
    "with a farewell; a client known to accept any number gets all at once",
)
@pytest.mark.parametrize("agent", ["MyApp/1.0", FIREFOX])
async def test_a_python_client_under_another_name_hears_a_burst_and_stays(agent: str) -> None:
    """Its HTTP session is the host's to give, with whatever headers."""
    sio = create_server()
    sio.on("echo", lambda _sid, value: value)
    async with (
        hosted(socketio.ASGIApp(sio)) as url,
        peers(url, None, transport="polling", headers={"User-Agent": agent}) as (peer,),
    ):
        for number in range(5 * MOST):
            await sio.emit("number", number)
        await peer.until(lambda: len(peer.heard) >= 5 * MOST, "burst")
        assert peer.heard == [("number", number) for number in range(5 * MOST)]
        assert await peer.ask("echo", 7) == 7


@pytest.mark.promise(
    "The transport",
    "A Python client that polls, whatever its user agent, is never sent more packets than it accepts, even "
    "with a farewell; a client known to accept any number gets all at once",
)
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


async def test_a_python_client_is_refused_without_a_body() -> None:
    """Its `t` shows what it is; if a body is late, its reconnecting ends with a RuntimeError."""
    async with hosted(socketio.ASGIApp(create_server())) as url, web(url) as http:
        for stamp, body in (("1767225600.25", b""), ("PXsQ0aB", b'{"code":0,"message":"Transport unknown"}')):
            answer = await http.get("/socket.io/", params={"EIO": 4, "transport": "none", "t": stamp})
            assert (answer.status_code, answer.content) == (400, body)
