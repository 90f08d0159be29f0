"""What a peer and an address may do, and how much of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from docs.pages import PAGES
from support.links import Phone
from support.nodes import phone, running
from support.redis import redis_server
from walkie_signal.backends.redis.backend import RedisBackend
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings

OFFICE, ELSEWHERE = "203.0.113.9", "198.51.100.7"


def refused(ack: Any, limit: str) -> int:
    """Check that an ack is a refusal by a limit; returns after how many milliseconds to try again."""
    assert ack["ok"] is False, ack
    error = ack["error"]
    assert (error["code"], error["limit"]) == ("rate_limited", limit), ack
    wait: int = error["retryAfterMs"]
    assert wait > 0
    return wait


async def filled(node: Node, room: str, count: int) -> list[Phone]:
    peers = [phone(node, f"{room}{number:04}") for number in range(count)]
    for peer in peers:
        assert (await peer.call("join_room", {"room": room}))["ok"]
    return peers


@pytest.mark.promise(
    "Limits", "A join costs as much as it costs others, and one that is refused moves nobody"
)
async def test_a_peer_may_join_a_few_rooms_at_once_and_then_one_a_second() -> None:
    async with running(Settings(join_burst=3, join_rate=10)) as node:
        ann, bob = phone(node, "ann"), phone(node, "bob")
        await bob.call("join_room", {"room": "3"})
        for number in range(1, 4):
            assert (await ann.call("join_room", {"room": str(number)}))["ok"]
        told = list(bob.link.texts)
        wait = refused(await ann.call("join_room", {"room": "4"}), "join_rate")
        assert wait <= 100
        assert bob.link.texts == told, "it is still there, and nobody heard of it"
        await asyncio.sleep(wait / 1000)
        assert (await ann.call("join_room", {"room": "4"}))["ok"]


@pytest.mark.promise(
    "Limits", "A join costs as much as it costs others, and one that is refused moves nobody"
)
@pytest.mark.parametrize("next_room", ["small", "large"])
async def test_a_join_into_a_room_of_hundreds_counts_for_more(next_room: str) -> None:
    async with running(Settings(join_burst=3, join_rate=1)) as node:
        await filled(node, "large", 199)
        ann = phone(node, "ann")
        assert (await ann.call("join_room", {"room": "large"}))["ok"], "one is left, so it goes through"
        wait = refused(await ann.call("join_room", {"room": next_room}), "join_rate")
        assert wait == pytest.approx(1000, abs=100), "it has cost 3"


@pytest.mark.promise("Limits", "Rooms that one address makes are limited; those that are there can be joined")
async def test_an_address_makes_no_more_rooms_than_it_may() -> None:
    async with running(Settings(new_room_burst=2, new_room_rate=1)) as node:
        peers = [phone(node, f"p{number}", address=OFFICE) for number in range(5)]
        for peer in peers[:2]:
            assert (await peer.call("join_room", {"room": peer.peer_id}))["ok"]
        refused(await peers[2].call("join_room", {"room": "new"}), "new_room_rate")
        assert (await peers[2].call("join_room", {"room": "p0"}))["ok"], "it is there"
        assert (await peers[2].call("join_room", {"room": "p0"}))["ok"], "and this makes none"
        for number, address in enumerate((ELSEWHERE, None)):
            other = phone(node, f"other{number}", address=address)
            assert (await other.call("join_room", {"room": other.peer_id}))["ok"]


@pytest.mark.programs
@pytest.mark.promise("Limits", "Rooms that one address makes are limited; those that are there can be joined")
async def test_a_room_on_another_node_can_be_joined() -> None:
    async with two_nodes(Settings(new_room_burst=1, new_room_rate=0.01)) as (one, two):
        await phone(two, "bob").call("join_room", {"room": "theirs"})
        ann = phone(one, "ann", address=OFFICE)
        assert (await ann.call("join_room", {"room": "mine"}))["ok"]
        refused(await ann.call("join_room", {"room": "new"}), "new_room_rate")
        assert (await ann.call("join_room", {"room": "theirs"}))["ok"]


@asynccontextmanager
async def two_nodes(settings: Settings) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server())
        yield [await stack.enter_async_context(running(settings, RedisBackend(server.url))) for _ in range(2)]


@pytest.mark.programs
@pytest.mark.promise("Limits", "Rooms that one address makes are limited; those that are there can be joined")
async def test_who_make_a_room_together_pay_for_it_once() -> None:
    """Whoever saw the others there already paid nothing, and so nobody did."""
    async with two_nodes(Settings(new_room_burst=3, new_room_rate=0.01)) as (one, _):
        made = 0
        for number in range(10):
            peers = [phone(one, f"p{number}-{each}", address=OFFICE) for each in range(3)]
            answers = await asyncio.gather(
                *(peer.call("join_room", {"room": f"r{number}"}) for peer in peers)
            )
            made += any(answer["ok"] for answer in answers)
        assert made == 3


@pytest.mark.promise("Limits", "Rooms that one address makes are limited; those that are there can be joined")
async def test_of_ipv6_the_network_of_64_bits_counts() -> None:
    async with running(Settings(new_room_burst=1, new_room_rate=0.01)) as node:
        ann = phone(node, "ann", address="2001:db8::1")
        bob = phone(node, "bob", address="2001:db8::ffff:1")
        eve = phone(node, "eve", address="2001:db8:0:1::1")
        assert (await ann.call("join_room", {"room": "a"}))["ok"]
        refused(await bob.call("join_room", {"room": "b"}), "new_room_rate")
        assert (await eve.call("join_room", {"room": "c"}))["ok"]


# What one peer makes others hear


async def moves(ann: Phone, number: int) -> None:
    await ann.call("join_room", {"room": "large" if number % 2 else "other"})


async def leaves(ann: Phone, number: int) -> None:
    if number % 2:
        await ann.call("leave_room", {})
    else:
        await ann.call("join_room", {"room": "large"})


async def joins_as_another(ann: Phone, number: int) -> None:
    await ann.call("join_room", {"room": "large", "role": str(number)})


async def joins_again(ann: Phone, _number: int) -> None:
    await ann.call("join_room", {"room": "large"})


WAYS: list[Callable[[Phone, int], Awaitable[None]]] = [moves, leaves, joins_as_another, joins_again]
SECONDS = 2.0


@pytest.mark.promise(
    "Limits", "One peer causes no more than 20,000 messages a second to others, whatever it does"
)
@pytest.mark.parametrize("way", WAYS)
async def test_what_one_peer_makes_a_room_of_1000_hear_is_bounded(
    way: Callable[[Phone, int], Awaitable[None]],
) -> None:
    """Each such event was told to 999, as fast as one peer could send it."""
    async with running(Settings(room_capacity=1001)) as node:
        others = await filled(node, "large", 999)
        ann = phone(node, "ann")
        assert (await ann.call("join_room", {"room": "large"}))["ok"]
        before = sum(len(each.link.texts) for each in others)
        clock = asyncio.get_running_loop().time
        until, number = clock() + SECONDS, 0
        while clock() < until and not ann.peer.gone:
            await way(ann, number)
            number += 1
            await asyncio.sleep(0)
        caused = sum(len(each.link.texts) for each in others) - before
        assert caused <= 20_000 * SECONDS
        answers = [json.loads(text[text.index("[") :])[0] for text in ann.link.texts if text.startswith("43")]
        refusals = [answer["error"]["code"] for answer in answers if not answer["ok"]]
        assert "rate_limited" in refusals or ann.peer.gone, "it was fast enough to meet a limit"


def _sent(peers: Sequence[Phone], *, rosters: bool) -> tuple[int, int]:
    """Return how many bytes and messages peers were sent, of rosters or of all else."""
    texts = [text for each in peers for text in each.link.texts if ('"room_status"' in text) is rosters]
    return sum(map(len, texts)), len(texts)


async def test_the_security_page_says_what_an_event_causes() -> None:
    """For a room of 100: what is told to the others, in KB and messages, with ids of 24 characters."""
    event, size = re.compile(r"`(\w+)`"), re.compile(r"([\d.]+)(?: KB)?, (\d+|one) messages?")
    told: dict[str, tuple[float, int]] = {}
    for first, _, said, *_ in PAGES["docs/security.md"].table("Event", "Bytes in"):
        known, found = event.search(first), size.match(said)
        if known is not None and found is not None:
            told[known[1]] = float(found[1]), 1 if found[2] == "one" else int(found[2])
    async with running(Settings()) as node:
        others = [phone(node, f"{number:024}") for number in range(99)]
        for each in others:
            assert (await each.call("join_room", {"room": "r"}))["ok"]
        ann = phone(node, "a" * 24)
        steps: dict[str, tuple[Any, int]] = {
            "join_room": ({"room": "r"}, 1000),
            "signal": ({"targetId": others[0].peer_id, "signal": 0}, 1),
            "leave_room": ({}, 1000),
        }
        assert told.keys() == steps.keys()
        for name, (payload, unit) in steps.items():
            before = _sent(others, rosters=False)
            assert (await ann.call(name, payload))["ok"]
            after = _sent(others, rosters=False)
            caused = round((after[0] - before[0]) / unit), after[1] - before[1]
            assert caused == told[name], name
