"""Changes of values by rules: nothing is lost, however many change one value at once, and on however many nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from backends.pairs import pair
from support.sites import KeptSite
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.backends.swaps import MOST_RACES, Swaps
from walkie_signal.core.changes import Member
from walkie_signal.core.values import Outcome
from walkie_signal.errors import SignalingError


def add(word: str) -> Callable[[str], str]:
    return lambda text: f"{text} {word}".strip()


class Raced(MemoryBackend):
    """A store on which somebody else is quicker, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.swaps = 0

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None = None, keep: float = 0
    ) -> Outcome:
        self.swaps += 1
        if self.times:
            self.times -= 1
            await super().swap(room, key, (await self.read(room, key)).version, f"quicker {self.times}")
        return await super().swap(room, key, version, text, member=member, keep=keep)


async def raced(times: int = 0) -> tuple[Raced, Swaps]:
    backend = Raced(times)
    await backend.start(KeptSite())
    await backend.join(Member("a", "r", None, None, backend.node_id), 10)
    return backend, Swaps(backend)


async def refused(done: asyncio.Future[str]) -> str:
    with pytest.raises(SignalingError) as caught:
        await done
    return caught.value.code


async def test_what_comes_while_a_swap_is_under_way_is_worked_into_the_next() -> None:
    backend, swaps = await raced()
    words = [f"w{number}" for number in range(50)]
    texts = await asyncio.gather(*(swaps.change("r", "floor", add(word)) for word in words))
    assert texts == [" ".join(words[: number + 1]) for number in range(50)]
    assert (await backend.read("r", "floor")).text == texts[-1]
    assert backend.swaps <= 2
    await asyncio.gather(swaps.change("r", "floor", add("x")), swaps.change("r", "call", add("y")))
    assert [(await backend.read("r", key)).text[-1] for key in ("floor", "call")] == ["x", "y"]


async def test_a_rule_that_refuses_is_answered_alone() -> None:
    backend, swaps = await raced()

    def refuse(_text: str) -> str:
        raise SignalingError("forbidden", "not yours")

    before, between, after = (swaps.change("r", "floor", rule) for rule in (add("1"), refuse, add("2")))
    assert await refused(between) == "forbidden"
    assert (await before, await after) == ("1", "1 2")
    version = (await backend.read("r", "floor")).version
    assert await refused(swaps.change("r", "floor", refuse)) == "forbidden"
    assert (await backend.read("r", "floor")).version == version


async def test_a_change_asks_for_its_own_member_alone() -> None:
    _, swaps = await raced()
    of_a, of_b, of_all = (swaps.change("r", "floor", add("x"), member=member) for member in ("a", "b", None))
    assert await refused(of_b) == "not_in_room"
    assert (await of_a, await of_all) == ("x", "x x")
    assert await refused(swaps.change("q", "floor", add("x"))) == "not_in_room"
    assert await swaps.change("q", "floor", add("x"), keep=60) == "x"


async def test_a_lost_race_begins_again_with_what_is_there_and_ends_some_time() -> None:
    backend, swaps = await raced(MOST_RACES - 1)
    assert await swaps.change("r", "floor", add("mine")) == "quicker 0 mine"
    backend, swaps = await raced(MOST_RACES)
    assert await refused(swaps.change("r", "floor", add("mine"))) == "unavailable"
    assert backend.swaps == MOST_RACES
    assert await swaps.change("r", "floor", add("mine")) == "quicker 0 mine"


async def test_one_that_waits_no_more_keeps_no_other_waiting() -> None:
    _, swaps = await raced()
    gone, stays = swaps.change("r", "floor", add("1")), swaps.change("r", "floor", add("2"))
    gone.cancel()
    assert await stays == "1 2"


async def test_of_two_nodes_nothing_is_lost() -> None:
    async with pair() as (_, sites):
        await sites[0].join("a")
        both = [Swaps(site.backend) for site in sites]
        words = [f"w{number}" for number in range(200)]
        done = [both[number % 2].change("r", "floor", add(word)) for number, word in enumerate(words)]
        await asyncio.gather(*done)
        text = (await sites[1].backend.read("r", "floor")).text
        assert sorted(text.split()) == sorted(words)
