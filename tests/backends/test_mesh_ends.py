"""How ways between nodes end: nothing is lost in silence, and nobody hears what was meant for a former node."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.machine import Worker, named, socket_of, two
from support.waiting import eventually
from walkie_signal.core.changes import Joined


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


def mesh_of(worker: Worker) -> Any:
    return worker.stored._mesh


def way_between(one: Worker, other: Worker) -> Any:
    return one.stored._mail._ways[other.backend.node_id]


async def test_what_is_lost_with_a_way_is_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next way goes on with the numbers of the last one, or the other end could not know."""
    async with two(named(folder), named(folder)) as (one, other, b):
        one.send(b, 0)
        await other.site.until(lambda: other.heard() == ["0"])
        for number in range(1, 6):
            one.send(b, number)
        mesh_of(other).cut()
        await eventually(lambda: way_between(one, other).ended)
        one.send(b, 6)
        await other.site.until(lambda: other.heard() == ["0", "6"])
        assert one.answers == [True] * 7
        assert [each.message for each in caplog.records] == ["5 messages from another node were lost"]


async def test_a_way_that_is_known_to_have_ended_costs_no_signal(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        for number in range(3):
            one.send(b, number)
            await eventually(lambda: len(other.heard()), partial(int.__eq__, number + 1))
            mesh_of(other).cut()
            await eventually(lambda: way_between(one, other).ended)
        assert one.answers == [True] * 3


async def test_a_late_answer_on_a_former_way_does_not_end_the_next_one(folder: Path) -> None:
    """Several signals are on their way by the store when the first of them is answered as not sent."""
    async with two(named(folder), named(folder)) as (one, other, b):
        channels = one.stored._store.channels
        answers: list[Any] = []
        sends, channels.send = channels.send, lambda _route, _message, answer: answers.append(answer)
        path = socket_of(other, folder)
        path.rename(path.with_suffix(".away"))
        for number in range(2):
            one.send(b, number)
        await eventually(lambda: len(answers) == 2)
        path.with_suffix(".away").rename(path)
        channels.send = sends
        answers[0](0)
        one.send(b, 2)
        answers[1](0)
        one.send(b, 3)
        await other.site.until(lambda: other.heard() == ["2", "3"])
        assert one.answers == [False, False, True, True]
        assert len(mesh_of(other)._ends) == 1


async def test_nothing_is_heard_that_was_meant_for_the_node_before(folder: Path) -> None:
    """A signal that waited while the process stood still is the first thing that it finds when it wakes."""
    async with two(named(folder), named(folder)) as (one, other, b):
        one.send(b, 0)
        await other.site.until(lambda: other.heard() == ["0"])
        heard: list[bytes] = []
        (end,) = mesh_of(other)._ends
        end._hear = heard.append
        way = way_between(one, other)
        one.send(b, 1)
        other.stored._lifetime.until = 0
        await other.site.until(lambda: other.site.fences == 1)
        await eventually(lambda: way.ended)
        assert heard == []


async def test_a_node_that_has_to_listen_anew_goes_on_hearing(folder: Path) -> None:
    """As when somebody has removed the folder: what was sent until then is not lost."""
    async with two(named(folder), named(folder)) as (one, other, b):
        one.send(b, 0)
        await other.site.until(lambda: other.heard() == ["0"])
        socket_of(other, folder).unlink()
        one.send(b, 1)
        await mesh_of(other).open(other.stored._mail.hear)
        assert socket_of(other, folder).exists()
        one.send(b, 2)
        await other.site.until(lambda: len(other.heard()) == 3)
        assert other.heard() == ["0", "1", "2"]


@pytest.mark.parametrize("ends", ["a leave", "a close"])
async def test_the_last_signals_before_the_end_arrive(folder: Path, ends: str) -> None:
    """They take another way than the news that their sender is gone, after which they would be dropped."""
    async with two(named(folder), named(folder)) as (one, other, b):
        one.send(b, 0)
        await other.site.until(lambda: other.heard() == ["0"])
        for number in range(1, 20):
            one.send(b, number)
        if ends == "a leave":
            await one.backend.leave("r", "a", "left")
        else:
            await one.backend.close()
        await other.site.until(lambda: other.heard() == [str(number) for number in range(20)])


async def test_a_node_forgets_the_ways_to_the_dead(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        for _ in range(3):
            third = Worker(named(folder))
            await third.backend.start(third.site)
            c = await third.join("c")
            await eventually(partial(one.site.applied.count, Joined(c)))
            one.send(c, 0)
            await eventually(third.heard)
            way = way_between(one, third)
            await third.backend.close()
            await eventually(partial(getattr, way, "ended"))
        one.send(b, 0)
        await other.site.until(lambda: other.heard() == ["0"])
        assert set(one.stored._mail._ways) == {b.node}
