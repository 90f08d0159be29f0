"""What peers see while Redis does not answer, and after it has come back, with or without its memory."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest

from cluster.crowds import Crowd, crowd
from cluster.service import holders, nodes, quiet, rosters
from support.peers import RawPeer
from support.raw import NO_CERTIFICATES
from support.redis import RedisServer
from support.waiting import eventually

ANSWERED = 2.5
"""Seconds in which anything is answered: 2, and some for a busy machine."""
AWAY = 12.0
"""Seconds that Redis is frozen, longer than a node's lease."""
HEALED = 10.0
"""Seconds in which rosters are right when Redis has come back empty."""


@pytest.mark.promise(
    "Many nodes",
    "While Redis is frozen for 12 s, no request waits over 2 s, `/readyz` says no, peers of one node talk "
    "on, and no peer is announced gone",
)
async def test_redis_frozen_for_longer_than_a_lease_costs_nobody_a_place(redis: RedisServer) -> None:
    async with nodes(redis.url, redis.url) as (one, two), crowd() as peers:
        near, beside, far = [await peers.join(url, "gate") for url in (one.url, one.url, two.url)]
        members = near, beside, far
        outsiders = [await peers.connect(url) for url in (one.url, two.url)]
        await peers.settled(*members)
        await holders(redis, *members)
        start = time.monotonic()
        redis.stop()
        try:
            unready = await asyncio.gather(*(_status(url, 503, within=3) for url in (one.url, two.url)))
            assert unready == [503, 503]
            near_said, far_said, *_ = await asyncio.gather(
                _talk(near, beside, start + AWAY),
                _talk(near, far, start + AWAY),
                *(_kept_out(each, start + AWAY) for each in outsiders),
            )
        finally:
            redis.cont()
        assert all(ack == {"ok": True} for ack in near_said), near_said
        assert [ack for ack in far_said if not ack["ok"]], "no signal to the other node was refused"
        assert all(ack["ok"] or ack["error"]["code"] == "unavailable" for ack in far_said), far_said
        await asyncio.gather(*(_status(url, 200, within=HEALED) for url in (one.url, two.url)))
        late = [await peers.join(url, "gate") for url in (one.url, two.url)]
        await peers.settled(*members, *late)
        assert await near.signal(far, "again") == {"ok": True}
        await far.hears("signal", signal="again")
        await quiet(2)
        _nobody_was_gone(*members, *late)
        heard = [each["signal"] for each in far.all("signal")]
        assert len(heard) == len(set(heard)), far.history()
        assert [each["signal"] for each in beside.all("signal")] == list(range(len(near_said)))
        known = {peer.peer_id for peer in (*members, *late)}
        assert {room: set(found) for room, found in (await rosters(redis)).items()} == {"gate": known}


@pytest.mark.promise("Many nodes", "A signal that can't be passed to its node is answered `unavailable`")
@pytest.mark.promise(
    "Many nodes",
    "When Redis comes back empty, rosters are right within 10 s; peers that left are announced, peers that "
    "live are not",
)
@pytest.mark.parametrize(
    "gaps", [(0.0,), (3.0,), (1.0, 0.0, 0.5)], ids=["at once", "later", "again and again"]
)
async def test_redis_that_comes_back_empty_gets_its_rosters_from_the_living(
    redis: RedisServer, gaps: tuple[float, ...]
) -> None:
    async with nodes(redis.url, redis.url) as (one, two), crowd() as peers:
        rooms = [f"room {number}" for number in range(5)]
        stay = [peer for node in (one, two) for peer in await peers.fill(node.url, rooms, 2)]
        leave = [peer for node in (one, two) for peer in await peers.fill(node.url, rooms)]
        await peers.settled(*stay, *leave)
        await holders(redis, *stay, *leave)
        near, far = stay[0], next(peer for peer in stay if peer.url == two.url and peer.room == stay[0].room)
        await redis.kill()
        start = time.monotonic()
        talking = asyncio.create_task(_talk(near, far, start + sum(gaps) + HEALED / 2))
        await asyncio.gather(*(peer.abort() for peer in leave))
        for gap in gaps:
            await redis.kill()
            await quiet(gap)
            await redis.restart()
        start = time.monotonic()
        await asyncio.gather(
            *(_sees_late(peers, node.url, room, stay) for room in rooms for node in (one, two))
        )
        late = peers.peers[len(stay) + len(leave) :]
        await peers.settled(*stay, *late)
        took = time.monotonic() - start
        said = await talking
        assert took < HEALED, f"rosters were right after {took:.1f} s"
        _only_these_were_gone(stay, leave)
        left = {peer.peer_id for peer in leave}
        for peer in late:  # some came before the other node had written back
            assert set(peer.counted("peer_disconnected", peer.room)) <= left, peer.history()
        await holders(redis, *stay, *late)
        heard = [each["signal"] for each in far.all("signal")]
        assert heard == sorted(set(heard)), far.history()
        assert {number for number, ack in enumerate(said) if ack["ok"]} <= set(heard), (said, far.history())
        assert said[-1] == {"ok": True}, said
        refused = [ack["error"]["code"] for ack in said if not ack["ok"]]
        assert set(refused) <= {"unavailable"}, said
        assert refused or not any(gaps), "no signal was refused while Redis was away"


async def test_a_node_that_dies_together_with_redis_is_given_up_when_its_time_has_passed(
    redis: RedisServer,
) -> None:
    """Nothing in Redis tells of it any more: the others remember, and give it the time to write back."""
    async with nodes(*[redis.url] * 3) as (dies, *others), crowd() as peers:
        lost = await peers.fill(dies.url, ["gate"], 3)
        living = [peer for node in others for peer in await peers.fill(node.url, ["gate"], 2)]
        await peers.settled(*lost, *living)
        await holders(redis, *lost, *living)
        dies.program.send_signal(signal.SIGKILL)
        await redis.kill()
        await redis.restart()
        await peers.settled(*living, within=15)
        late = [await peers.join(node.url, "gate") for node in others]
        await peers.settled(*living, *late)
        ghosts = {peer.peer_id: 1 for peer in lost}
        for peer in living:
            assert peer.counted("peer_disconnected", "gate", reason="node_lost") == ghosts, peer.history()
            assert peer.counted("peer_disconnected", "gate") == ghosts, peer.history()
        for peer in late:
            assert not ghosts.keys() & set(peer.counted("new_peer", "gate")), peer.history()
        await holders(redis, *living, *late)


async def _status(url: str, expected: int, within: float) -> int:
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=NO_CERTIFICATES) as web:

        async def status() -> int:
            return (await web.get("/readyz", timeout=ANSWERED)).status_code

        return await eventually(status, lambda code: code == expected, f"/readyz {expected}", within)


async def _in_time(answer: Awaitable[Any]) -> Any:
    start = time.monotonic()
    ack = await answer
    took = time.monotonic() - start
    assert took < ANSWERED, f"answered after {took:.1f} s: {ack}"
    return ack


async def _talk(sender: RawPeer, target: RawPeer, until: float) -> list[Any]:
    """Send signals with numbers until a time; returns the acks."""
    acks: list[Any] = []
    while time.monotonic() < until:
        acks.append(await _in_time(sender.signal(target, len(acks))))
        await asyncio.sleep(0.2)
    return acks


async def _kept_out(peer: RawPeer, until: float) -> None:
    """Ask for a place until a time, and get none; the connection stays."""
    while time.monotonic() < until - ANSWERED:
        ack = await _in_time(peer.enter("gate"))
        assert (ack["ok"], ack["error"]["code"]) == (False, "unavailable"), ack
        assert ack["error"]["retryAfterMs"] > 0, ack
        await asyncio.sleep(0.2)
    assert peer.is_open


async def _sees_late(peers: Crowd, url: str, room: str, stay: list[RawPeer]) -> None:
    """Join as soon as that can be done; at that time or soon after nobody but the living is there."""
    peer = await peers.connect(url)
    await peer.enter_at_last(room)
    members = {each.peer_id for each in stay if each.room == room}
    await peer.holds(lambda: members <= set(peer.roster()), f"{members} in the roster", HEALED)


def _nobody_was_gone(*members: RawPeer) -> None:
    for peer in members:
        assert not peer.all("peer_disconnected"), peer.history()
        assert set(peer.counted("new_peer", peer.room).values()) <= {1}, peer.history()


def _only_these_were_gone(stay: list[RawPeer], leave: list[RawPeer]) -> None:
    for peer in stay:
        gone = {each.peer_id: 1 for each in leave if each.room == peer.room}
        assert gone, "nobody has left"
        assert peer.counted("peer_disconnected", peer.room) == gone, peer.history()
        assert set(peer.counted("new_peer", peer.room).values()) <= {1}, peer.history()
