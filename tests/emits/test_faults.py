"""What becomes of a host's emits when a node is killed or stopped, and when the store is away."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from emits.listeners import Listener, listening
from emits.workers import workers
from support.processes import Program
from support.redis import redis_server
from support.waiting import eventually

pytestmark = pytest.mark.promise(
    "Hosts", "An emit reaches the living when a node is killed or stopped, and all again when Redis is back"
)


class Node:
    """A process of the host, with a client."""

    def __init__(self, url: str, program: Program, client: Listener) -> None:
        self.url = url
        self.program = program
        self.client = client

    async def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Let the host's server carry out a call; returns its answer or its error."""
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as http:
            answer: dict[str, Any] = (await http.post(f"/ask/{call}", json=arguments)).json()
            return answer

    async def reaches(self, other: Node, mark: str) -> None:
        """Wait until an emit to everybody in the channel reaches another node's client."""
        tries = 0

        async def reached() -> bool:
            nonlocal tries
            tries += 1
            await self.ask("emit", event="mark", data=f"{mark} {tries}", room="patrol")
            return any(told.startswith(mark) for told in other.client.told("mark"))

        await eventually(reached, within=30)


@asynccontextmanager
async def node(backend: str) -> AsyncIterator[Node]:
    async with workers(backend, 1) as (url, program), listening(url) as client:
        await client.sio.call("join_channel", "patrol")
        yield Node(url, program, client)


@asynccontextmanager
async def three(backend: str) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(node(backend)) for _ in range(3)]
        for each in found[1:]:
            await found[0].reaches(each, "first")
        yield found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("who", [0, 2], ids=["the first", "the last"])
async def test_the_living_hear_whoever_is_dead(backend: str, how: signal.Signals, who: int) -> None:
    """The first one keeps the rooms where workers share a machine."""
    async with three(backend) as nodes:
        dead = nodes.pop(who)
        here, there = nodes
        dead_sid = dead.client.sid
        dead.program.send_signal(how)
        for number in range(20):
            assert await here.ask("emit", event="told", data=number) == {"answer": None}
            await asyncio.sleep(0.1)  # they are emitted while the others find out
        await here.reaches(there, "found out")
        assert there.client.told("told") == sorted(there.client.told("told"))
        refused = await here.ask("call", event="where", to=dead_sid, timeout=0.5)
        assert "error" in refused
        if how == signal.SIGSTOP:
            dead.program.send_signal(signal.SIGCONT)


async def test_a_node_that_was_stopped_hears_again_as_another(backend: str) -> None:
    async with three(backend) as (here, sleeps, there):
        sleeps.program.send_signal(signal.SIGSTOP)
        await there.ask("emit", event="told", data="while it sleeps", to=sleeps.client.sid)
        await eventually(lambda: _removed(here, there), within=40)
        sleeps.program.send_signal(signal.SIGCONT)
        async with listening(sleeps.url) as back:
            await eventually(lambda: back.sio.call("join_channel", "patrol"), within=20)
            again = Node(sleeps.url, sleeps.program, back)
            await here.reaches(again, "again")
            await again.reaches(here, "and back")
            assert back.told("told") == []


async def test_large_emits_to_a_node_that_was_stopped_end_with_an_error(backend: str) -> None:
    """They wait until it counts as dead; then it goes on as another node, and hears what comes after that."""
    async with node(backend) as here, node(backend) as sleeps:
        await here.reaches(sleeps, "first")
        sleeps.program.send_signal(signal.SIGSTOP)
        large = partial(here.ask, "emit", event="told", data="x" * 3_000_000, room="patrol")
        answers = await asyncio.gather(*(large() for _ in range(5)))
        errors = [each["error"] for each in answers if "error" in each]
        assert len(errors) == 3, answers
        assert all("unavailable: a node has not read" in each for each in errors), errors
        await here.program.says("a node has not read for 8 s", 3)
        sleeps.program.send_signal(signal.SIGCONT)
        async with listening(sleeps.url) as back:
            await eventually(lambda: back.sio.call("join_channel", "patrol"), within=20)
            await here.reaches(Node(sleeps.url, sleeps.program, back), "again")


def _removed(*nodes: Node) -> bool:
    return any("is dead" in each.program.output or "trying again" in each.program.output for each in nodes)


async def test_redis_loses_its_memory() -> None:
    """Until all is written back, nobody is taken for one whom no node has: a call is answered or refused."""
    async with redis_server() as redis, three(redis.url) as (here, there, _):
        there.client.sio.on("where", lambda: "here")
        ask = partial(here.ask, "call", event="where", to=there.client.sid, timeout=3)
        assert await ask() == {"answer": "here"}
        await redis.command("FLUSHALL")
        reached = 0
        while reached < 100:
            told = await ask()
            assert told == {"answer": "here"} or "cut off" in told["error"], told
            reached = reached + 1 if "answer" in told else 0


async def test_redis_is_away_and_comes_back() -> None:
    async with redis_server() as redis, three(redis.url) as (here, there, _):
        await redis.kill()
        await here.program.says("trying again", 1)
        assert await here.ask("emit", event="told", data="here alone", room="patrol") == {"answer": None}
        await here.client.hears("told", "here alone")
        await here.program.says("an emit reached only this node", 1)
        for call, arguments in {
            "call": {"event": "where", "to": there.client.sid},
            "close_room": {"room": "patrol"},
            "enter_room": {"sid": there.client.sid, "room": "yard"},
            "disconnect": {"sid": there.client.sid},
        }.items():
            refused = await here.ask(call, **arguments)
            assert "cut off" in refused.get("error", ""), (call, refused)
        await here.client.sio.call("join_channel", "patrol")
        await there.client.sio.emit("leave_channel", "patrol")
        await redis.restart()
        await there.client.sio.call("join_channel", "patrol")
        await here.reaches(there, "back")
        await there.reaches(here, "back too")
        assert there.client.told("told") == []
