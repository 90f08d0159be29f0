"""What nodes write into Redis and publish to one another.

Everything published begins with its format. A release reads the formats in `READS` and writes `WRITES`, which the
release before it reads too; so nodes of two releases work together while one replaces the other. Within a format
only a key of an object, or a kind of message, may be added: what a node doesn't know it passes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from walkie_signal.core.codec import dumps, loads
from walkie_signal.core.replicas import NOWHERE, Entered, Entry, RoomEvent, Roster, Settled, Version
from walkie_signal.core.rooms import Left, Member

WRITES = "1"
READS = ("1",)


class Signal(NamedTuple):
    """A signal on its way to another node.

    Attributes:
        node: The sender's node.
        number: How many signals that node has sent to this one, this one included.
        target_id: The peer that it is for.
        from_id: The peer that it is from.
        since: Since when the sender is a member of `room`: the receiver has to know of that first.
        room: A room that both are in.
        text: The frame that the target is to get.
    """

    node: str
    number: int
    target_id: str
    from_id: str
    since: int
    room: str
    text: str


class Told(NamedTuple):
    """A frame for each connection of a user."""

    user_id: str
    text: str


class Kicked(NamedTuple):
    """An order to kick a peer."""

    peer_id: str


class Beat(NamedTuple):
    """What a node sends to itself, to know that it hears."""

    number: int


NodeMessage = Signal | Told | Kicked | Beat

_signal: Callable[[tuple[str, int, str, str, int, str, str]], Signal] = partial(tuple.__new__, Signal)
"""A named tuple's own constructor takes three times as long."""


@lru_cache
def _quoted(text: str) -> str:
    return quote(text, "")


_unquoted = lru_cache(unquote)


def write_signal(  # noqa: PLR0917 - the way of each signal: keywords take longer
    node: str, number: int, target_id: str, from_id: str, since: int, room: str, text: str
) -> str:
    """Write a `Signal`."""
    return f"{WRITES} s {node} {number} {target_id} {from_id} {since} {_quoted(room)} {text}"


def write_told(told: Told) -> bytes:
    """Write a frame for a user."""
    return f"{WRITES} t {_quoted(told.user_id)} {told.text}".encode()


def write_kicked(kicked: Kicked) -> bytes:
    """Write an order to kick."""
    return f"{WRITES} k {kicked.peer_id}".encode()


def write_beat(beat: Beat) -> bytes:
    """Write a beat."""
    return f"{WRITES} b {beat.number}".encode()


def read_node_message(data: bytes) -> NodeMessage | None:
    """Read what came on a node's own channel; ``None`` where it is of a kind that this release doesn't know.

    Raises:
        ValueError: It is of another format, or none of ours.
    """
    text = data.decode()
    words = text.split(" ", 8)
    if len(words) == 9 and words[1] == "s" and words[0] in READS:  # noqa: PLR2004 - a signal's, the most by far
        _, _, node, number, target_id, from_id, since, room, frame = words
        return _signal((node, int(number), target_id, from_id, int(since), _unquoted(room), frame))
    written, kind, rest = text.split(" ", 2)
    if written not in READS:
        raise _unknown(written)
    if kind == "s":
        raise ValueError("a signal that lacks something")
    if kind == "t":
        user_id, _, text = rest.partition(" ")
        return Told(_unquoted(user_id), text)
    if kind == "k":
        return Kicked(rest.partition(" ")[0])
    return Beat(int(rest.partition(" ")[0])) if kind == "b" else None


def write_member(member: Member) -> str:
    """Write what Redis keeps of a member, behind the time of its joining."""
    facts: dict[str, Any] = {}
    if member.role is not None:
        facts["role"] = member.role
    if member.user_id is not None:
        facts["userId"] = member.user_id
    return f"{member.node} {dumps(facts)}"


def read_entry(room: str, peer_id: str, value: str) -> Entry:
    """Read a member as Redis keeps it.

    Raises:
        ValueError: It is none.
    """
    since, node, text = value.split(" ", 2)
    facts = loads(text)
    if not isinstance(facts, dict):
        raise ValueError("the facts of a member are no object")  # noqa: TRY004 - it was read, not given
    return Entry(Member(peer_id, room, facts.get("role"), facts.get("userId"), node), int(since))


def write_entry(entry: Entry) -> str:
    """Write a member as Redis keeps it."""
    return f"{entry.since} {write_member(entry.member)}"


def read_room_message(room: str, data: bytes) -> tuple[Version, RoomEvent | None]:
    """Read what came on a room's channel; the event is ``None`` where this release doesn't know its kind.

    The scripts write them (`scripts`).

    Raises:
        ValueError: It is of another format, or none of ours.
    """
    written, epoch, number, kind, rest = data.decode().split(" ", 4)
    if written not in READS:
        raise _unknown(written)
    return Version(int(epoch), int(number)), _read_event(room, kind, rest)


def _read_event(room: str, kind: str, rest: str) -> RoomEvent | None:
    if kind == "j":
        peer_id, _, value = rest.partition(" ")
        return Entered(read_entry(room, peer_id, value))
    if kind == "l":
        peer_id, reason = rest.split(" ")[:2]
        return Left(room, peer_id, reason)  # type: ignore[arg-type]  # a later release may know more
    if kind == "s":
        node, reason, text = rest.split(" ", 2)
        entries = tuple(read_entry(room, *each) for each in loads(text).items())
        return Settled(node, reason, entries)  # type: ignore[arg-type]  # likewise
    return None


def read_entries(room: str, values: Iterable[tuple[str, str]]) -> Iterator[Entry]:
    """Read the members that can be read, by peer id: for any other one a node would never be ready."""
    for peer_id, value in values:
        with suppress(ValueError):
            yield read_entry(room, peer_id, value)


def read_roster(room: str, fields: Mapping[str, str]) -> Roster:
    """Read a room's hash, as far as `read_entries` does.

    Raises:
        ValueError: It is none.
    """
    if "" not in fields:
        return Roster(NOWHERE)
    epoch, number, *settled = fields[""].split(" ")
    entries = read_entries(room, (field for field in fields.items() if field[0]))
    return Roster(
        Version(int(epoch), int(number)),
        tuple(sorted(entries, key=lambda entry: entry.since)),
        frozenset(settled),
    )


def _unknown(written: str) -> ValueError:
    return ValueError(f"format {written[:20]!r} is none of {', '.join(READS)}")
