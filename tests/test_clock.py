"""The clock does each thing at its time, by one timer for however many things."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from walkie_signal.clock import Clock

TICK = 0.01

Done = asyncio.Queue[tuple[str, float]]


def noting(done: Done) -> Any:
    def note(key: str, now: float) -> None:
        done.put_nowait((key, now))

    return note


async def next_of(done: Done) -> tuple[str, float]:
    return await asyncio.wait_for(done.get(), 5)


async def test_each_thing_is_done_at_its_time_also_if_it_was_asked_for_behind_a_later_one() -> None:
    done, clock, begun = Done(), Clock(TICK), asyncio.get_running_loop().time()
    clock.at(begun + 0.2, "late", noting(done))
    clock.at(begun + 0.05, "soon", noting(done))
    (first, at_first), (second, at_second) = await next_of(done), await next_of(done)
    assert [first, second] == ["soon", "late"]
    assert at_first >= begun + 0.05
    assert at_second >= begun + 0.2


async def test_a_thing_is_done_again_as_long_as_it_says_when() -> None:
    clock, times = Clock(TICK), list[float]()
    ended = asyncio.Event()

    def three_times(_key: str, now: float) -> float | None:
        times.append(now)
        if len(times) < 3:
            return now + 0.02
        ended.set()
        return None

    clock.at(0, "a", three_times)
    await asyncio.wait_for(ended.wait(), 5)
    assert all(later >= earlier + 0.02 for earlier, later in pairwise(times))


async def test_what_is_dropped_or_stopped_is_not_done() -> None:
    done, clock = Done(), Clock(TICK)
    now = asyncio.get_running_loop().time()
    clock.at(now + 0.02, "dropped", noting(done))
    clock.at(now + 0.03, "kept", noting(done))
    clock.drop("dropped")
    assert (await next_of(done))[0] == "kept"
    clock.at(now, "stopped", noting(done))
    clock.stop()
    clock.at(now, "new", noting(done))
    assert (await next_of(done))[0] == "new"
    assert done.empty()


async def test_a_fault_in_one_thing_is_told_and_keeps_no_other_from_being_done() -> None:
    done, clock, told = Done(), Clock(TICK), list[Any]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail(_key: str, _now: float) -> None:
        raise RuntimeError("as told")

    now = asyncio.get_running_loop().time()
    for key, act in (("a", noting(done)), ("bad", fail), ("b", noting(done))):
        clock.at(now, key, act)
    assert {(await next_of(done))[0], (await next_of(done))[0]} == {"a", "b"}
    assert [str(each) for each in told] == ["as told"]


def test_it_goes_on_in_another_loop() -> None:
    """Tests of hosts have a loop each, and the server is made outside of all."""
    clock = Clock(TICK)

    async def in_a_loop() -> None:
        done = Done()
        now = asyncio.get_running_loop().time()
        clock.at(now + 60, "much later", noting(done))
        clock.at(now, "now", noting(done))
        assert (await next_of(done))[0] == "now"

    asyncio.run(in_a_loop())
    asyncio.run(in_a_loop())


def test_what_was_due_on_the_last_event_loop_is_not_kept_waiting_by_a_later_thing_on_the_next() -> None:
    clock = Clock(TICK)

    async def leave() -> None:
        clock.at(asyncio.get_running_loop().time(), "left", lambda _key, _now: left.set())

    async def go_on() -> None:
        clock.at(asyncio.get_running_loop().time() + 60, "later", lambda _key, _now: None)
        await asyncio.wait_for(left.wait(), 5)
        clock.stop()

    left = asyncio.Event()
    asyncio.run(leave())
    asyncio.run(go_on())
