"""What somebody else publishes on the nodes' channels: a line in the log, and a room that is read anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from backends.pairs import ROOM, frame, pair
from support.redis import RedisServer
from support.waiting import eventually
from walkie_signal.backends.shared.messages import (
    Beat,
    Kicked,
    Mark,
    Read,
    Signal,
    Told,
    read_node_message,
    write_beat,
    write_kicked,
    write_mark,
    write_read,
    write_signal,
    write_told,
)
from walkie_signal.backends.shared.records import read_room_message
from walkie_signal.bounded_log import MOST
from walkie_signal.core.changes import Joined
from walkie_signal.core.identity import read_user_id
from walkie_signal.core.replicas import Entered, Entry, Settled, Swapped, Version

T = TypeVar("T")

HUGE = "9" * 5000

ROOM_MESSAGES = [
    b'1 1700000000000000 7 j x 77 elsewhere {"role":"lead","userId":"u"}',
    b"1 1700000000000000 7 l x left",
    b'1 1700000000000000 7 s elsewhere node_lost {"x":"77 elsewhere {}"}',
    b"1 1700000000000000 7 v floor 77 0 elsewhere the text",
]
NODE_MESSAGES = [
    write_signal("elsewhere", 1, "a", "x", 77, "r", frame("hello")).encode(),
    write_told(Told("7", frame("hello"))),
    write_kicked(Kicked("a")),
    write_beat(Beat(3)),
    write_mark(Mark("elsewhere", 3)).encode(),
    write_read(Read("elsewhere", 3)).encode(),
]
PIECES = [*b" |1|-1|0|1e9|[]|{}|null|s|j|\0|\xff".split(b"|"), b"", HUGE.encode()]


@st.composite
def mangled(draw: st.DrawFn, messages: list[bytes]) -> bytes:
    """Give a message with some of its words replaced, taken out or cut."""
    words = draw(st.sampled_from(messages)).split(b" ")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(words)))
        piece = draw(
            st.sampled_from(PIECES) | st.binary(max_size=8) | st.sampled_from(b" ".join(messages).split())
        )
        words[at : at + draw(st.integers(0, 2))] = [piece]
    message = b" ".join(words)
    return message[: draw(st.integers(0, len(message)))] if draw(st.booleans()) else message


def read_or_refused(read: Callable[[], T]) -> T | None:
    """Read a message; ``None`` where it is refused, in few words."""
    words = ""
    try:
        return read()
    except ValueError as refused:
        words = str(refused)
    assert 0 < len(words) < 100
    return None


def proper(entry: Entry) -> bool:
    member = entry.member
    return (
        bool(member.peer_id and member.node)
        and 0 <= entry.since < 10**18
        and (member.role is None or isinstance(member.role, str))
        and (member.user_id is None or read_user_id(member.user_id) is not None)
    )


@given(mangled(ROOM_MESSAGES))
def test_what_is_read_on_a_room_s_channel_is_of_the_right_types_or_refused(message: bytes) -> None:
    read = read_or_refused(lambda: read_room_message("r", message))
    if read is None:
        return
    version, event = read
    assert all(0 <= number < 10**18 for number in version)
    if isinstance(event, Entered):
        assert proper(event.entry)
    elif isinstance(event, Settled):
        assert event.node
        assert event.reason.isidentifier()
        assert all(map(proper, event.entries))
    elif isinstance(event, Swapped):
        assert event.value.key
        assert event.value.node
        assert all(0 <= number < 10**18 for number in event.value[1:3])
    elif event is not None:
        assert event.peer_id
        assert event.reason.isidentifier()


@given(mangled(NODE_MESSAGES))
def test_what_is_read_on_a_node_s_channel_is_of_the_right_types_or_refused(message: bytes) -> None:
    found = read_or_refused(lambda: read_node_message(message))
    if isinstance(found, Signal):
        assert 0 <= found.number < 10**18
        assert 0 <= found.since < 10**18
    elif isinstance(found, (Mark, Read)):
        assert found.node
        assert 0 <= found.number < 10**18
    elif isinstance(found, Beat):
        assert 0 <= found.number < 10**18


async def settlings(server: RedisServer) -> int:
    """Return how many scripts Redis has run so far."""
    found = await server.command("INFO", "commandstats")
    return int(found.get("cmdstat_evalsha", {"calls": 0})["calls"])


def head(version: Version) -> str:
    return f"1 {version.epoch} {version.number}"


MALFORMED: dict[str, Callable[[Version], Any]] = {
    "a list of members": lambda version: f"{head(version)} s n left []",
    "members that are none": lambda version: f'{head(version)} s n left {{"x":7}}',
    "members without facts": lambda version: f'{head(version)} s n left {{"x":"7 n"}}',
    "a role that is a list": lambda version: f'{head(version)} j x 7 n {{"role":[]}}',
    "a user id that is an object": lambda version: f'{head(version)} j x 7 n {{"userId":{{}}}}',
    "a role with half a character": lambda version: f'{head(version)} j x 7 n {{"role":"\\ud800"}}',
    "facts that are no JSON": lambda version: f"{head(version)} j x 7 n {{",
    "facts that nest deep": lambda version: f"{head(version)} j x 7 n {'[' * 100_000}",
    "a member without a name": lambda version: f"{head(version)} j  7 n {{}}",
    "nobody left": lambda version: f"{head(version)} l",
    "no reason": lambda version: f"{head(version)} l a",
    "a reason that is none": lambda version: f"{head(version)} l a {'x' * 5000}",
    "a huge number": lambda version: f"1 {version.epoch} {HUGE} l a left",
    "a huge epoch": lambda version: f"1 {HUGE} 1 l a left",
    "a version far ahead": lambda version: f"1 {version.epoch} {version.number + 1000} l a left",
    "a room far ahead": lambda version: f"1 {version.epoch + 10**12} 1 l a left",
    "a number with a sign": lambda version: f"1 {version.epoch} -1 l a left",
    "no number": lambda version: f"1 {version.epoch}",
    "nothing": lambda _: b"",
    "another format": lambda _: "7 7 7 7",
    "no UTF-8": lambda _: b"1 \xff\xfe",
    "no text of ours": lambda _: '{"method":"emit"}',
}


@pytest.mark.promise(
    "Many nodes",
    "A malformed message costs a log line and a reading of its room; a message of an unknown kind costs "
    "nothing; only an event is passed on to a peer",
)
async def test_a_malformed_change_costs_its_room_a_reading_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair() as (server, (one, two)):
        for room in ("r", "other"):
            await one.join("a", room)
            await two.join("b", room)
        await one.until(lambda: len(one.kept.applied) == 4)
        expected = list(one.kept.applied)
        room, untouched = map(one.backend._followed.get, ("r", "other"))
        listening = [site.backend._uplink.listening for site in (one, two)]
        assert room is not None
        assert untouched is not None
        for number, (what, malformed) in enumerate(MALFORMED.items()):
            await eventually(lambda: room.version, what="read")
            version = room.version
            await server.command("PUBLISH", ROOM, malformed(version._replace(number=version.number + 1)))
            expected += [Joined(await two.join(f"c{number}")), Joined(await one.join(f"d{number}"))]
            count = len(expected)
            for site in (one, two):
                await site.until(lambda site=site, count=count: len(site.kept.applied) == count, within=2)
            assert one.kept.applied == expected, what
            assert [site.backend._uplink.listening for site in (one, two)] == listening, what
        assert untouched.read_at < 0, "another room was read for it"
    lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert all(len(line) < 200 for line in lines), lines
    assert 0 < len([line for line in lines if "'r'" in line]) <= 2 * MOST


@pytest.mark.promise(
    "Many nodes",
    "A malformed message costs a log line and a reading of its room; a message of an unknown kind costs "
    "nothing; only an event is passed on to a peer",
)
async def test_any_number_of_malformed_changes_are_few_lines_and_few_readings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(1) as (server, (one,)):
        await one.join("a")
        before = await settlings(server)
        redis = Redis.from_url(server.url)
        async with redis.pipeline(transaction=False) as pipeline:
            for _ in range(2000):
                pipeline.publish(ROOM, "1 77 1 s n left []")
            await pipeline.execute()
        await redis.aclose()
        await one.join("b")
        assert one.backend.ready
        # Two thousand arrive in less than a second, in which it beats once and reads its room each tenth of it
        assert await settlings(server) - before < 30
    lines = [each for each in caplog.records if "can't be read" in each.getMessage()]
    assert len(lines) <= MOST + 1


@pytest.mark.promise(
    "Many nodes",
    "A malformed message costs a log line and a reading of its room; a message of an unknown kind costs "
    "nothing; only an event is passed on to a peer",
)
async def test_changes_of_a_kind_that_comes_later_are_passed_over_without_a_reading() -> None:
    """Otherwise a roll-out of a release that adds one would have the nodes of the last read rooms all the time."""
    async with pair(1) as (server, (one,)):
        await one.join("a")
        before = await settlings(server)
        epoch, number = map(int, (await server.command("HGET", ROOM, "")).split(" "))
        for later in range(number + 1, number + 101):
            await server.command("HSET", ROOM, "", f"{epoch} {later}")
            await server.command("PUBLISH", ROOM, f"1 {epoch} {later} z whatever it may be")
        b = await one.join("b")
        assert one.kept.applied[1:] == [Joined(b)]
        followed = one.backend._followed.get("r")
        assert followed is not None
        assert followed.version == Version(epoch, number + 101)
        assert await settlings(server) - before < 10  # the joining, and beats


STRAY = {
    "no kind": b"1",
    "a kick of nobody": b"1 k",
    "a signal that lacks something": b"1 s elsewhere 1",
    "a signal with a huge number": f"1 s elsewhere {HUGE} a b 7 r {frame('x')}".encode(),
    "a signal of no time": f"1 s elsewhere 1 a b never r {frame('x')}".encode(),
    "a frame for nobody": b"1 t",
    "a kick of a stranger": b"1 k nobody",
    "a beat without a number": b"1 b",
    "a beat of a huge number": f"1 b {HUGE}".encode(),
    "a beat that was not sent": b"1 b 99999",
    "a beat from before": b"1 b 0",
    "a kind that comes later": b"1 z whatever",
    "another format": b"7 s whatever",
    "nothing": b"",
    "no UTF-8": b"1 s \xff",
}


@pytest.mark.promise(
    "Many nodes",
    "A malformed message costs a log line and a reading of its room; a message of an unknown kind costs "
    "nothing; only an event is passed on to a peer",
)
async def test_a_stray_message_to_a_node_changes_nothing() -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        listening, incarnation = one.backend._uplink.listening, one.backend._incarnation
        expected = []
        for what, stray in STRAY.items():
            await server.command("PUBLISH", one.channel, stray)
            two.backend.relay(one.member("a"), "b", frame(what), lambda _: None)
            expected.append(("a", frame(what)))
            await one.until(lambda: len(one.kept.handed_over) == len(expected))
            assert incarnation.heard <= incarnation.sent, what
        before = incarnation.heard
        await eventually(lambda: incarnation.heard, lambda beat: beat >= before + 2, "heard by itself")
        assert one.kept.handed_over == expected
        assert one.backend._uplink.listening is listening, "it has connected anew"
        assert (one.kept.kicked, one.kept.told) == (["nobody"], [])


@pytest.mark.promise(
    "Many nodes",
    "A malformed message costs a log line and a reading of its room; a message of an unknown kind costs "
    "nothing; only an event is passed on to a peer",
)
async def test_what_does_not_begin_as_an_event_is_passed_on_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A raw `1` would close a peer's connection, and so would one behind a record separator, over polling."""
    raw = [
        "1",
        "6",
        "41",
        "0{}",
        "",
        '42["signal",{}]\x1e1',
        '42/x,["signal",{}]',
        '43["signal"]',
        '42["signal"',
    ]
    async with pair() as (server, (one, two)):
        await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        for text in raw:
            two.backend.relay(one.member("a"), "b", text, lambda _: None)
            await server.command("PUBLISH", one.channel, write_told(Told("7", text)))
        two.backend.relay(one.member("a"), "b", frame("an event"), lambda _: None)
        await server.command("PUBLISH", one.channel, write_told(Told("7", frame("an event"))))
        await one.until(lambda: bool(one.kept.told and one.kept.handed_over))
        assert one.kept.handed_over == [("a", frame("an event"))]
        assert one.kept.told == [("7", frame("an event"))]
    lines = [each for each in caplog.records if "is not an event" in each.getMessage()]
    assert len(lines) == MOST


async def test_a_gap_in_a_node_s_signals_reads_its_rooms_a_few_at_a_time() -> None:
    """Whoever publishes may make up any number."""
    async with pair(1) as (server, (one,)):
        rooms = [f"r{number}" for number in range(300)]
        for room in rooms:
            await one.join("a", room)
        for number in (1, 5, 9, 13):
            message = write_signal("elsewhere", number, "a", "x", 77, "r", frame("x"))
            await server.command("PUBLISH", one.channel, message)
        waiting = []

        def all_read() -> bool:
            followed = [one.backend._followed.get(room) for room in rooms]
            waiting.append(sum(each is not None and each.healing for each in followed))
            return all(each is not None and each.read_at > 0 for each in followed)

        await eventually(all_read, what="read")
        assert max(waiting) <= 100
        assert one.backend.ready
