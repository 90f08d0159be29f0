"""The same commands to the backend in memory and to two nodes on a store: they agree, after each command."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.pairs import Site
from support.redis import redis_server
from support.sites import KeptSite
from walkie_signal.backends.base import Backend
from walkie_signal.backends.machine import MachineBackend
from walkie_signal.backends.machine.groups import NamedGroup
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.core.changes import Change, Joined, Member
from walkie_signal.core.rooms import Room
from walkie_signal.errors import SignalingError

CAPACITY = 3
EXAMPLES = 60


@dataclass(frozen=True)
class Command:
    """What a peer does. Half of the peers are one node's, half the other's."""

    peer: int
    room: str
    role: str | None
    leaves: bool

    @property
    def peer_id(self) -> str:
        return f"p{self.peer}"

    async def carry_out(self, backend: Backend) -> str:
        """Carry it out; returns how it ended."""
        try:
            if self.leaves:
                await backend.leave(self.room, self.peer_id, "left")
            else:
                member = Member(self.peer_id, self.room, self.role, self.peer, backend.node_id)
                await backend.join(member, CAPACITY)
        except SignalingError as error:
            return error.code
        return "ok"


class AnySite(Protocol):
    """A backend and its node."""

    @property
    def backend(self) -> Backend: ...

    @property
    def kept(self) -> KeptSite: ...


@dataclass(frozen=True)
class Worker:
    """One of a machine."""

    backend: Backend
    kept: KeptSite


commands = st.builds(
    Command,
    peer=st.integers(0, 5),
    room=st.sampled_from(["r", "q {x}"]),
    role=st.sampled_from([None, "guard", "lead"]),
    leaves=st.booleans(),
)


def facts(members: Sequence[Member]) -> list[tuple[str, str | None, object]]:
    return [(member.peer_id, member.role, member.user_id) for member in members]


def seen(changes: Sequence[Change], room: str) -> list[Member]:
    """Return who is in a room to one that has made these changes."""
    kept = Room(room)
    for change in changes:
        if change.room == room:
            kept.apply(change)
    return list(kept)


async def play(steps: Sequence[Command], sites: Sequence[AnySite]) -> None:
    memory, kept = MemoryBackend(), KeptSite()
    await memory.start(kept)
    await asyncio.gather(*(site.backend.start(site.kept) for site in sites))
    try:
        assert all(site.backend.ready for site in sites)
        for step in steps:
            site = sites[step.peer % 2]
            assert await step.carry_out(memory) == await step.carry_out(site.backend), step
            for room in ("r", "q {x}"):
                expected = facts(await memory.roster(room))
                for each in sites:
                    assert facts(await each.backend.roster(room)) == expected, step
                await both_know(sites, room, expected)
            for each in sites:
                assert sorted(await each.backend.rooms()) == sorted(await memory.rooms())
        joined = [sum(isinstance(change, Joined) for change in each.kept.applied) for each in sites]
        assert max(joined, default=0) <= sum(isinstance(change, Joined) for change in kept.applied)
    finally:
        await asyncio.gather(*(site.backend.close() for site in sites), memory.close())


async def both_know(
    sites: Sequence[AnySite], room: str, expected: Sequence[tuple[str, object, object]]
) -> None:
    """Wait until each node with a member in a room has made the changes that were ordered."""
    for number, site in enumerate(sites):
        if any(int(peer_id[1:]) % 2 == number for peer_id, _, _ in expected):
            await site.kept.until(partial(knows, site, room, expected))


def knows(site: AnySite, room: str, expected: Sequence[tuple[str, object, object]]) -> bool:
    return sorted(map(str, facts(seen(site.kept.applied, room)))) == sorted(map(str, expected))


@pytest.mark.promise("Many nodes", "Memory and Redis agree, command by command, on two nodes")
async def test_memory_and_redis_agree() -> None:
    async with redis_server() as server:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(commands, max_size=25))
        def agree(steps: list[Command]) -> None:
            asyncio.run(play(steps, [Site(server.url), Site(server.url)]))

        await asyncio.to_thread(agree)
        assert await server.keys() == []


@pytest.mark.promise(
    "Many nodes", "Memory and the store of a machine agree, command by command, on two workers"
)
async def test_memory_and_a_machine_agree() -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(commands, max_size=25))
    def agree(steps: list[Command]) -> None:
        group = NamedGroup(f"agreement-{secrets.token_hex(8)}")
        workers = [Worker(MachineBackend(group), KeptSite()) for _ in range(2)]
        asyncio.run(play(steps, workers))

    await asyncio.to_thread(agree)
