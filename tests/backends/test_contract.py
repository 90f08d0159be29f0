"""What every backend owes the node, run for each of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from support.redis import redis_server
from support.sites import KeptSite
from support.waiting import eventually
from walkie_signal.backends.base import Backend
from walkie_signal.backends.machine import MachineBackend
from walkie_signal.backends.machine.groups import NamedGroup
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.core.changes import Change, Joined, Left, Member
from walkie_signal.core.emits import stored_name
from walkie_signal.core.identity import UserId
from walkie_signal.core.values import ABSENT, MOST_BYTES
from walkie_signal.errors import SignalingError


@pytest.fixture
def site() -> KeptSite:
    return KeptSite()


@pytest.fixture
def applied(site: KeptSite) -> list[Change]:
    return site.applied


@pytest.fixture(params=["memory", "redis", "machine, alone", "machine, keeps", "machine, joins"])
async def backend(request: pytest.FixtureRequest, site: KeptSite) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        backend: Backend = MemoryBackend()
        group = NamedGroup(f"contract-{secrets.token_hex(8)}")
        other = MachineBackend(group)
        if request.param == "redis":
            server = await stack.enter_async_context(redis_server())
            backend = RedisBackend(server.url)
        elif request.param.startswith("machine"):
            backend = MachineBackend(group)
        if request.param == "machine, joins":
            await other.start(KeptSite())
            stack.push_async_callback(other.close)
        await backend.start(site)
        stack.push_async_callback(backend.close)
        if request.param == "machine, keeps":
            await other.start(KeptSite())
            stack.push_async_callback(other.close)
            assert other.ready
        yield backend


@pytest.fixture
def member(backend: Backend) -> Callable[..., Member]:
    def make(peer_id: str, room: str = "r", role: str | None = None, user_id: UserId | None = None) -> Member:
        return Member(peer_id, room, role, user_id, backend.node_id)

    return make


Make = Callable[..., Member]

ODD = 'a "b" \\ / \n\x7f\0 {x} 日本 🙂 '


async def test_a_join_is_applied_when_it_returns(
    backend: Backend, applied: list[Change], member: Make
) -> None:
    await backend.join(member("a"), 10)
    assert applied == [Joined(member("a"))]
    assert list(await backend.roster("r")) == [member("a")]
    assert list(await backend.rooms()) == ["r"]


async def test_a_leave_is_applied_when_it_returns_and_happens_once(
    backend: Backend, applied: list[Change], member: Make
) -> None:
    await backend.join(member("a"), 10)
    await backend.leave("r", "a", "timeout")
    await backend.leave("r", "a", "left")
    await backend.leave("q", "a", "left")
    assert applied[1:] == [Left("r", "a", "timeout")]
    assert (list(await backend.roster("r")), list(await backend.rooms())) == ([], [])


async def test_a_full_room_refuses_but_for_its_members(
    backend: Backend, applied: list[Change], member: Make
) -> None:
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


async def test_rooms_do_not_touch_one_another(backend: Backend, member: Make) -> None:
    await backend.join(member("a"), 1)
    await backend.join(member("a", "q"), 1)
    await backend.leave("r", "a", "left")
    assert list(await backend.roster("q")) == [member("a", "q")]
    assert list(await backend.roster("nowhere")) == []


async def test_nothing_is_applied_after_the_close(
    backend: Backend, applied: list[Change], member: Make
) -> None:
    await backend.close()
    with pytest.raises(SignalingError) as caught:
        await backend.join(member("a"), 10)
    assert caught.value.code == "unavailable"
    assert applied == []


async def test_a_member_comes_back_as_it_was_given(backend: Backend, member: Make) -> None:
    odd = [
        member("a", 'q {"} 日本', "lead 🙂", 2**53),
        member("b", 'q {"} 日本', 'a "b" \\ / \x7f', "7"),
        member("c", 'q {"} 日本', "", ""),
    ]
    for each in odd:
        await backend.join(each, 10)
    assert list(await backend.roster('q {"} 日本')) == odd
    assert list(await backend.rooms()) == ['q {"} 日本']


async def test_an_announcement_of_a_member_is_applied_again(
    backend: Backend, applied: list[Change], member: Make
) -> None:
    await backend.join(member("a"), 10)
    await backend.join(member("a"), 10)
    assert applied == [Joined(member("a"))] * 2


async def test_changes_at_once_are_each_applied_once(
    backend: Backend, applied: list[Change], member: Make
) -> None:
    peers = [f"p{number}" for number in range(100)]
    await asyncio.gather(*(backend.join(member(each), 60) for each in peers), return_exceptions=True)
    assert len(applied) == len(await backend.roster("r")) == 60
    here = [each.peer_id for each in await backend.roster("r")]
    assert [each.member.peer_id for each in applied if isinstance(each, Joined)] == here
    await asyncio.gather(*(backend.leave("r", each, "left") for each in peers))
    assert sorted(each.peer_id for each in applied[60:] if isinstance(each, Left)) == sorted(here)
    assert list(await backend.rooms()) == []


async def test_nobody_else_is_reached_where_there_is_one_node(backend: Backend, member: Make) -> None:
    backend.present("a", "7")
    reached: list[bool] = []
    backend.relay(Member("x", "r", None, None, "another"), "a", "text", reached.append)
    assert reached == [False]
    assert await backend.tell("7", "text") == 0
    assert not await backend.kick("a")
    backend.absent("a", "7")


# Values beside rooms


async def test_a_value_is_absent_until_it_is_swapped_and_then_as_it_was_given(
    backend: Backend, member: Make
) -> None:
    await backend.join(member("a"), 10)
    assert await backend.read("r", "floor") == ABSENT
    assert await backend.swap("r", "floor", 0, ODD) == "swapped"
    value = await backend.read("r", "floor")
    assert (value.key, value.text, value.node, value.until) == ("floor", ODD, backend.node_id, 0)
    assert await backend.read("r", "call") == await backend.read("q", "floor") == ABSENT


OWN = stored_name("users", "7")


async def test_a_room_of_the_service_s_own_is_known_and_looked_at_and_otherwise_not_seen(
    backend: Backend, site: KeptSite, member: Make
) -> None:
    for peer_id in "ba":
        await backend.join(member(peer_id, OWN), 2)
        assert backend.known(OWN).entries[-1].member == member(peer_id, OWN), "not the last one to join"
    with pytest.raises(SignalingError, match="room_full"):
        await backend.join(member("c", OWN), 2)
    looked = len(site.looked)
    assert await backend.swap(OWN, "floor", 0, "text") == "swapped"
    await site.until(lambda: len(site.looked) > looked)
    assert [value.text for value in backend.known(OWN).values] == ["text"]
    looked = len(site.looked)
    await backend.leave(OWN, "b", "left")
    assert len(site.looked) > looked
    assert [entry.member.peer_id for entry in backend.known(OWN).entries] == ["a"]
    assert set(site.looked) == {OWN}
    assert site.applied == []
    assert list(await backend.rooms()) == []


async def test_nothing_is_known_of_a_room_with_nobody_from_here(backend: Backend) -> None:
    roster = backend.known(OWN)
    assert (roster.entries, roster.values) == ((), ())


async def test_connections_of_this_node_are_not_counted_among_others(backend: Backend) -> None:
    backend.present("a", None)
    backend.present("a", 7)
    assert await backend.connections(7) == 0


async def test_a_swap_of_another_version_changes_nothing(backend: Backend, member: Make) -> None:
    await backend.join(member("a"), 10)
    assert await backend.swap("r", "floor", 1, "of no version") == "lost"
    assert await backend.swap("r", "floor", 0, "first") == "swapped"
    first = await backend.read("r", "floor")
    assert await backend.swap("r", "floor", 0, "first, too") == "lost"
    assert await backend.swap("r", "floor", first.version, "second") == "swapped"
    second = await backend.read("r", "floor")
    assert second.version > first.version
    assert await backend.swap("r", "floor", first.version, "late") == "lost"
    assert await backend.read("r", "floor") == second


async def test_of_swaps_at_once_of_one_version_one_is_carried_out(backend: Backend, member: Make) -> None:
    await backend.join(member("a"), 10)
    outcomes = await asyncio.gather(*(backend.swap("r", "floor", 0, str(number)) for number in range(20)))
    assert sorted(outcomes) == ["lost"] * 19 + ["swapped"]
    assert (await backend.read("r", "floor")).text == str(outcomes.index("swapped"))


async def test_a_swap_may_ask_for_a_member(backend: Backend, member: Make) -> None:
    await backend.join(member("a"), 10)
    await backend.join(member("b", "q"), 10)
    assert await backend.swap("r", "floor", 0, "b", member="b", keep=60) == "gone"
    assert await backend.swap("r", "floor", 0, "a", member="a") == "swapped"
    await backend.join(member("c"), 10)
    await backend.leave("r", "a", "left")
    version = (await backend.read("r", "floor")).version
    assert await backend.swap("r", "floor", version, "a again", member="a") == "gone"
    assert (await backend.read("r", "floor")).text == "a"


async def test_a_value_goes_with_the_last_member(backend: Backend, member: Make) -> None:
    for peer_id in "ab":
        await backend.join(member(peer_id), 10)
    assert await backend.swap("r", "floor", 0, "a") == "swapped"
    await backend.leave("r", "a", "left")
    version = (await backend.read("r", "floor")).version
    await backend.leave("r", "b", "left")
    assert await backend.read("r", "floor") == ABSENT
    assert await backend.swap("r", "floor", 0, "nobody's") == "gone"
    await backend.join(member("a"), 10)
    assert await backend.read("r", "floor") == ABSENT
    assert await backend.swap("r", "floor", version, "of the room before") == "lost"


async def test_a_value_that_is_kept_outlives_the_last_member_by_its_time(
    backend: Backend, member: Make
) -> None:
    await backend.join(member("a"), 10)
    assert await backend.swap("r", "short", 0, "short", keep=0.2) == "swapped"
    assert await backend.swap("r", "long", 0, "long", keep=60) == "swapped"
    assert await backend.swap("r", "none", 0, "none") == "swapped"
    await backend.leave("r", "a", "left")
    assert await backend.swap("r", "later", 0, "later", keep=60) == "swapped"
    await eventually(lambda: backend.read("r", "short"), lambda value: value == ABSENT)
    await backend.join(member("b"), 10)
    texts = {key: (await backend.read("r", key)).text for key in ("short", "long", "none", "later")}
    assert texts == {"short": "", "long": "long", "none": "", "later": "later"}
    assert list(await backend.rooms()) == ["r"]


async def test_a_value_has_a_key_of_one_word_and_a_bounded_text(backend: Backend, member: Make) -> None:
    await backend.join(member("a"), 10)
    most = "\u00e9" * (MOST_BYTES // 2)
    assert await backend.swap("r", "floor", 0, most) == "swapped"
    value = await backend.read("r", "floor")
    assert value.text == most
    for key, text in (("floor", most + "x"), ("", "x"), ("two words", "x"), ("floor", "\ud800")):
        with pytest.raises(ValueError, match=r"value|surrogates"):
            await backend.swap("r", key, value.version, text)
    assert await backend.read("r", "floor") == value


async def test_values_are_unavailable_after_the_close(backend: Backend) -> None:
    await backend.close()
    for asked in (backend.read("r", "floor"), backend.swap("r", "floor", 0, "text", keep=60)):
        with pytest.raises(SignalingError) as caught:
            await asked
        assert caught.value.code == "unavailable"
