"""Worker processes that hand requests over: two behind one port, and one that is killed or stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from support.processes import SCRIPTS, Program, running
from support.raw import Raw, RefusedError, raw
from support.redis import redis_server
from support.servers import free_port
from support.waiting import eventually
from transport.workers import temporary_folder  # noqa: F401 - a fixture

TESTS = Path(__file__).parents[1]


@asynccontextmanager
async def program(*options: str, redis_url: str = "") -> AsyncIterator[tuple[Program, Raw]]:
    """Run the app on uvicorn; gives a client of it, whose connections are new for each request."""
    command: list[str | Path] = [
        SCRIPTS / "uvicorn", "transport.hand_over_app:app", "--app-dir", TESTS, "--port", "0",
        "--timeout-graceful-shutdown", "1", "--ws-per-message-deflate", "false", *options,
    ]  # fmt: skip
    async with running(command, env={"REDIS_URL": redis_url}) as served:
        found = await served.line(r"running on (http://[\d.:]+)")
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=limits) as http:
            client = Raw(f"{found[1]}/socket.io/", http)
            await answers(client, served)
            yield served, client


def two_workers(redis_url: str = "") -> AbstractAsyncContextManager[tuple[Program, Raw]]:
    return program("--workers", "2", "--port", str(free_port()), redis_url=redis_url)


async def answers(client: Raw, served: Program, within: float = 30.0) -> None:
    """Wait until it answers: several workers listen only some time after uvicorn has said so."""
    await eventually(lambda: answered(client), what=lambda: f"there: {served.output}", within=within)


async def answered(client: Raw) -> bool:
    try:
        await client.http.options(client.url)
    except httpx.ConnectError:
        return False
    return True


def all_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.sock")]


async def test_two_workers_behind_one_port_serve_a_session_together(folder: Path) -> None:
    """Each request makes a connection of its own, and the kernel gives it to either worker."""
    async with two_workers() as (served, client):
        owners, elsewhere = set(), 0
        for _ in range(200):
            sid = await client.joined_polling()
            await client.post(sid, '421["pid"]')
            answer = await client.get(sid)
            owners.add(owner := answer.text.removeprefix("431[").removesuffix("]"))
            elsewhere += answer.headers["x-worker"] != owner
            async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
                await socket.send("2probe")
                assert await socket.receive() == "3probe"
                await socket.send("5", '427["echo","x"]')
                assert await socket.message() == '437["x"]'
            if len(owners) == 2 and elsewhere >= 10:
                break
        assert len(owners) == 2
        assert elsewhere >= 10, "hardly a poll has come to the other worker"
        assert len(names(folder)) == 2
        served.send_signal(signal.SIGTERM)
        await served.wait()
        assert "Traceback" not in served.output, served.output
    assert names(folder) == []


async def until(client: Raw, sid: str, start: str) -> str:
    """Poll until a packet comes that starts so; returns it."""
    seen: list[str] = []
    while not (found := [packet for packet in seen if packet.startswith(start)]):
        answer = await client.get(sid)
        assert answer.status_code == 200, (answer.text, seen)
        seen += answer.text.split("\x1e")
    return found[0]


@pytest.mark.promise("Many nodes", "Any worker of a machine takes any request of any session")
async def test_peers_that_poll_at_any_worker_hear_one_another(folder: Path) -> None:
    """With rooms in Redis it is on by itself, and neither peer's polls stay with one worker."""
    async with redis_server() as redis, two_workers(redis.url) as (_, client):
        for number in range(20):
            one, two = await client.joined_polling(), await client.joined_polling()
            join = f'420["join_room",{{"room":"gate-{number}"}}]'
            for sid in (one, two):
                await client.post(sid, join)
                ack = json.loads((await until(client, sid, "430["))[3:])
            target = json.dumps({"targetId": ack[0]["peerId"], "signal": number})
            await client.post(one, f'42["signal",{target}]')
            assert f'"signal":{number}}}' in await until(client, two, '42["signal"')
            if len(names(folder)) == 2 and number >= 5:
                break
        assert len(names(folder)) == 2, "one worker has got all of it"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_that_ends_leaves_no_file(number: signal.Signals, folder: Path) -> None:
    async with program() as (served, client):
        await client.joined_polling()
        assert len(names(folder)) == 1
        served.send_signal(number)
        await served.wait()
        assert all_names(folder) == []


async def refused(client: Raw, sid: str, within: float = 1.0) -> tuple[int, int]:
    """Send a request that can't be served; returns its status and its error code."""
    answer = await client.get(sid, within)
    return answer.status_code, answer.json()["code"]


@pytest.mark.promise(
    "Many nodes", "A worker that is dead or frozen does not hold up new requests of its sessions for long"
)
async def test_an_owner_that_is_killed_ends_its_requests_at_others(folder: Path) -> None:
    async with program() as (owner, there), program() as (_, here):
        polls, upgrades = await there.joined_polling(), await there.joined_polling()
        assert len(names(folder)) == 1
        poll = asyncio.create_task(here.get(polls))
        async with here.websocket(f"EIO=4&transport=websocket&sid={upgrades}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            await socket.send("5", '427["echo","x"]')
            assert await socket.message() == '437["x"]'
            assert not poll.done()
            os.kill(owner.pid, signal.SIGKILL)
            assert await socket.closed(1) in (1006, 1012)
        answer = await asyncio.wait_for(poll, 1)
        assert (answer.status_code, answer.json()["code"]) == (400, 1)
        assert await refused(here, polls) == (400, 1)
        assert names(folder) == []
        assert await refused(here, upgrades) == (400, 1)
        assert (await here.open())["sid"]


@pytest.mark.promise(
    "Many nodes", "A worker that is dead or frozen does not hold up new requests of its sessions for long"
)
async def test_an_owner_that_is_stopped_holds_up_nobody_for_long(folder: Path) -> None:
    async with program() as (owner, there), program() as (_, here):
        sid = await there.joined_polling()
        owner.send_signal(signal.SIGSTOP)
        try:
            assert await refused(here, sid, 3) == (503, 1)
            posted = await here.post(sid, '421["echo",1]', 3)
            assert posted.status_code == 503
            with pytest.raises(RefusedError):
                async with here.websocket(f"EIO=4&transport=websocket&sid={sid}", within=3):
                    pass
        finally:
            owner.send_signal(signal.SIGCONT)
        await here.post(sid, '421["echo",2]')
        packets = (await here.get(sid)).text.split("\x1e")
        assert "431[2]" in packets, packets
        assert names(folder), "it is there still"


async def test_a_worker_that_is_killed_ends_the_sessions_whose_requests_it_had(folder: Path) -> None:
    async with program() as (_, there), program() as (front, here), raw(there.url) as watcher:
        sid = await there.joined_polling()
        poll = asyncio.create_task(here.get(sid))
        answer = await watcher.post(sid, '421["echo",1]')
        assert answer.text == "ok"
        assert "431[1]" in (await poll).text
        poll = asyncio.create_task(here.get(sid, 3))
        async with here.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            assert (await poll).text == "6", "the poll has arrived, and is released"
            await socket.send("5", '427["echo","x"]')
            assert await socket.message() == '437["x"]'
            front.send_signal(signal.SIGKILL)
            await front.wait()
        while (status := await refused(watcher, sid)) != (400, 1):
            assert status == (400, 3), status
