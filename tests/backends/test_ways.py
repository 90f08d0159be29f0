"""The way of signals to another node is chosen once, chosen again when it has ended, and keeps their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.machine import SIGNALS, named, socket_of, through_the_store, two
from support.waiting import eventually
from walkie_signal.core.changes import Joined


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


async def test_the_order_holds_while_the_way_is_chosen(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        for number in range(SIGNALS):
            one.send(b, number)
            if number % 10 == 0:
                await asyncio.sleep(0)
        await other.site.until(lambda: len(other.heard()) == SIGNALS)
        assert other.heard() == [str(number) for number in range(SIGNALS)]


async def test_a_node_without_a_socket_is_reached_by_the_store_and_in_order(folder: Path) -> None:
    """All of them wait for the choice of the way, or come while those that waited are on theirs."""
    async with two(named(folder), named(folder)) as (one, other, b):
        through = through_the_store(one)
        socket_of(other, folder).unlink()
        for number in range(SIGNALS):
            one.send(b, number)
            if number % 10 == 0:
                await asyncio.sleep(0)
        await other.site.until(lambda: len(other.heard()) == SIGNALS)
        assert other.heard() == [str(number) for number in range(SIGNALS)]
        await eventually(lambda: one.answers == [True] * SIGNALS)
        assert len(through) == SIGNALS


async def test_a_way_outlives_the_file_by_which_it_was_found(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        through = through_the_store(one)
        one.send(b, 0)
        await other.site.until(lambda: other.heard() == ["0"])
        socket_of(other, folder).unlink()
        one.send(b, 1)
        await other.site.until(lambda: other.heard() == ["0", "1"])
        assert (through, one.answers) == ([], [True, True])


async def test_a_way_that_has_ended_is_answered_once_and_chosen_again(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        one.send(b, "before")
        await other.site.until(lambda: other.heard() == ["before"])
        other.stored._mesh.cut()
        count = 0

        async def sends() -> bool:
            nonlocal count
            count += 1
            one.send(b, count)
            await asyncio.sleep(0)
            return False in one.answers or len(other.heard()) > 1

        await eventually(sends)
        one.send(b, '"after"')
        await other.site.until(lambda: other.heard()[-1] == '"after"')
        assert one.answers.count(False) <= 1


async def test_a_way_that_is_given_up_while_it_is_chosen_leaves_no_connection(folder: Path) -> None:
    """As when the store is lost just then: its signals are answered, and the next one begins another way."""
    async with two(named(folder), named(folder)) as (one, other, b):
        ends = other.stored._mesh._ends
        one.send(b, 1)
        one.stored._mail.forget()
        one.send(b, 2)
        await other.site.until(lambda: "2" in other.heard())
        await eventually(lambda: len(one.answers) == 2)
        await eventually(lambda: len(ends) == 1, what=lambda: f"one connection: {ends}")
        await one.backend.close()
        await eventually(lambda: not ends)


async def test_a_signal_that_overtakes_the_join_of_its_sender_waits_for_it(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        uplink, mail = other.stored._uplink, other.stored._mail
        late: list[tuple[bytes, bytes]] = []
        hears, uplink._node_hears = uplink._node_hears, lambda *heard: late.append(heard)
        c = await one.join("c")
        for number in range(3):
            one.backend.relay(b, "c", f'42["signal",{number}]', one.answers.append)
        await eventually(lambda: sum(map(len, mail._early.values())) == 3)
        assert other.heard() == []
        uplink._node_hears = hears
        for each in late:
            hears(*each)
        await other.site.until(lambda: other.heard() == ["0", "1", "2"])
        assert other.site.applied[-1] == Joined(c)


async def test_a_late_answer_to_a_way_that_has_ended_ends_no_other(folder: Path) -> None:
    """Two ways at once could let a signal overtake another one."""
    async with two(named(folder), named(folder)) as (one, other, b):
        answers: list[Callable[[Any], None]] = []
        one.stored._store.channels.send = lambda *sent: answers.append(sent[2])
        path = socket_of(other, folder)
        away = path.rename(path.with_suffix(".away"))
        for number in range(2):
            one.send(b, number)
        await eventually(lambda: len(answers) == 2)
        away.rename(path)
        answers[0](0)
        one.send(b, 2)
        answers[1](0)
        one.send(b, 3)
        await other.site.until(lambda: other.heard() == ["2", "3"])
        assert one.answers == [False, False, True, True]
        assert len(other.stored._mesh._ends) == 1
