"""What every backend owes the node, run for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from walkie_signal.backends.base import Backend
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.core.rooms import Change, Joined, Left, Member
from walkie_signal.errors import SignalingError


class Applied(list[Change]):
    """The changes that a backend has applied, in order."""


@pytest.fixture
def applied() -> Applied:
    return Applied()


@pytest.fixture(params=[MemoryBackend])
async def backend(request: pytest.FixtureRequest, applied: Applied) -> AsyncIterator[Backend]:
    backend: Backend = request.param()
    await backend.start(applied.append)
    yield backend
    await backend.close()


def member(peer_id: str, room: str = "r", role: str | None = None) -> Member:
    return Member(peer_id, room, role, None, "node")


async def test_a_join_is_applied_when_it_returns(backend: Backend, applied: Applied) -> None:
    await backend.join(member("a"), 10)
    assert applied == [Joined(member("a"))]
    assert list(await backend.roster("r")) == [member("a")]
    assert list(await backend.rooms()) == ["r"]


async def test_a_leave_is_applied_when_it_returns_and_happens_once(
    backend: Backend, applied: Applied
) -> None:
    await backend.join(member("a"), 10)
    await backend.leave("r", "a", "timeout")
    await backend.leave("r", "a", "left")
    await backend.leave("q", "a", "left")
    assert applied[1:] == [Left("r", "a", "timeout")]
    assert (list(await backend.roster("r")), list(await backend.rooms())) == ([], [])


async def test_a_full_room_refuses_but_for_its_members(backend: Backend, applied: Applied) -> None:
    await backend.join(member("a"), 2)
    await backend.join(member("b"), 2)
    with pytest.raises(SignalingError) as caught:
        await backend.join(member("c"), 2)
    assert caught.value.code == "room_full"
    await backend.join(member("a", role="lead"), 2)
    assert list(await backend.roster("r")) == [member("a", role="lead"), member("b")]
    assert len(applied) == 3
    await backend.leave("r", "b", "left")
    await backend.join(member("c"), 2)


async def test_rooms_do_not_touch_one_another(backend: Backend) -> None:
    await backend.join(member("a"), 1)
    await backend.join(member("a", "q"), 1)
    await backend.leave("r", "a", "left")
    assert list(await backend.roster("q")) == [member("a", "q")]
    assert list(await backend.roster("nowhere")) == []


async def test_nothing_is_applied_after_the_close(backend: Backend, applied: Applied) -> None:
    await backend.close()
    with pytest.raises(SignalingError) as caught:
        await backend.join(member("a"), 10)
    assert caught.value.code == "unavailable"
    assert applied == []
