"""What nodes write into a store and publish to one another.

Everything published begins with its format. A release reads the formats in `READS` and writes `WRITES`, which the
release before it can also read; so nodes of two releases work together while one replaces the other. Only two
things may be added within a format: a key of an object, or a kind of message that changes no membership. A node
ignores those that it doesn't know.

Whatever the data is, reading it gives a value of the right types or raises a `ValueError` with a text of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from walkie_signal.core.changes import Left, Member, Reason
from walkie_signal.core.identity import read_user_id
from walkie_signal.core.replicas import (
    NOWHERE,
    Entered,
    Entry,
    RoomEvent,
    Roster,
    Settled,
    Swapped,
    Version,
)
from walkie_signal.core.values import Value
from walkie_signal.wire.json import dumps, loads
from walkie_signal.wire.values import is_text

WRITES = "1"
READS = ("1",)

LONGEST_NUMBER = 18
"""Digits of a number; microseconds of the clock have 16, and 64 bits hold 18."""

LONGEST_REASON = 32
"""Letters of a reason; ours have up to 12, but a later release may have longer ones."""


class Signal(NamedTuple):
    """A signal on its way to another node.

    Attributes:
        node: The sender's node.
        number: How many signals that node has sent to this one, including this signal.
        target_id: The peer that it is for.
        from_id: The peer that it is from.
        since: The time when the sender became a member of `room`; the receiving node has to know this join first.
        room: A room that both are in.
        text: The frame for the target.
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
    """A message that a node sends to itself, to find out whether messages arrive."""

    number: int


NodeMessage = Signal | Told | Kicked | Beat

_signal: Callable[[tuple[str, int, str, str, int, str, str]], Signal] = partial(tuple.__new__, Signal)
"""Makes a `Signal`; the named tuple's own constructor takes three times as long."""


@lru_cache
def _quoted(text: str) -> str:
    return quote(text, "")


_unquoted = lru_cache(unquote)


def write_signal(  # noqa: PLR0917 - each signal comes here, and keywords take longer
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
    """Read a message from a node's own channel; ``None`` if this release doesn't know its kind.

    Raises:
        ValueError: It has another format, or it is malformed.
    """
    text = data.decode()
    words = text.split(" ", 8)
    if len(words) == 9 and words[1] == "s" and words[0] in READS:  # noqa: PLR2004 - a signal; most messages are
        _, _, node, number, target_id, from_id, since, room, frame = words
        if not (number.isdecimal() and since.isdecimal() and len(since) + len(number) <= 2 * LONGEST_NUMBER):
            raise ValueError("a signal with a number that is none")
        return _signal((node, int(number), target_id, from_id, int(since), _unquoted(room), frame))
    kind, rest = _of_our_format(text)
    if kind == "s":
        raise ValueError("a signal that lacks something")
    if kind == "t":
        user_id, space, frame = rest.partition(" ")
        if not space:
            raise ValueError("a frame for a user that lacks something")
        return Told(_unquoted(user_id), frame)
    if kind == "k":
        return Kicked(rest.partition(" ")[0])
    return Beat(_number(rest.partition(" ")[0])) if kind == "b" else None


def _of_our_format(text: str) -> tuple[str, str]:
    """Return what follows the format: the first word, and the rest."""
    written, _, rest = text.partition(" ")
    if written not in READS:
        raise ValueError(f"format {written[:20]!r} is none of {', '.join(READS)}")
    first, _, rest = rest.partition(" ")
    return first, rest


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise ValueError("a number that is none")
    return int(text)


def write_member(member: Member) -> str:
    """Write what the store keeps about a member, after the time when it joined."""
    facts: dict[str, Any] = {}
    if member.role is not None:
        facts["role"] = member.role
    if member.user_id is not None:
        facts["userId"] = member.user_id
    return f"{member.node} {dumps(facts)}"


def read_entry(room: str, peer_id: str, value: object) -> Entry:
    """Read a member as the store keeps it.

    Raises:
        ValueError: It is not a member.
    """
    words = value.split(" ", 2) if isinstance(value, str) and peer_id else ()
    if len(words) != 3 or not words[1]:  # noqa: PLR2004 - since, node, facts
        raise ValueError("a member that lacks something")
    since, node, text = words
    facts = _object(text)
    role, user_id = facts.get("role"), read_user_id(facts.get("userId"))
    if not (role is None or isinstance(role, str)) or (user_id is None) != (facts.get("userId") is None):
        raise ValueError("a member with a fact of a wrong type")
    if not all(is_text(fact) for fact in (role, user_id) if isinstance(fact, str)):
        raise ValueError("a member with a lone surrogate")
    return Entry(Member(peer_id, room, role, user_id, node), _number(since))


def _object(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        value = loads(text)
        if isinstance(value, dict):
            return value
    raise ValueError("what is to be an object is none")


def write_entry(entry: Entry) -> str:
    """Write a member as the store keeps it."""
    return f"{entry.since} {write_member(entry.member)}"


def write_value(value: Value) -> str:
    """Write a value as the store keeps it."""
    return f"{value.version} {value.until} {value.node} {value.text}"


def read_value(key: str, text: str) -> Value:
    """Read a value as the store keeps it.

    Raises:
        ValueError: It is not a value.
    """
    words = text.split(" ", 3)
    if not key or len(words) != 4 or not words[2]:  # noqa: PLR2004 - version, until, node, text
        raise ValueError("a value that lacks something")
    version, until, node, rest = words
    return Value(key, _number(version), _number(until), node, rest)


def read_room_message(room: str, data: bytes) -> tuple[Version, RoomEvent | None]:
    """Read a change from a room's channel; the event is ``None`` if this release doesn't know its kind.

    The scripts write the changes (`scripts`).

    Raises:
        ValueError: It has another format, or it is malformed.
    """
    epoch, rest = _of_our_format(data.decode())
    number, _, rest = rest.partition(" ")
    kind, _, rest = rest.partition(" ")
    if not kind:
        raise ValueError("a change that lacks something")
    return Version(_number(epoch), _number(number)), _read_event(room, kind, rest)


def _read_event(room: str, kind: str, rest: str) -> RoomEvent | None:
    if kind == "j":
        peer_id, _, value = rest.partition(" ")
        return Entered(read_entry(room, peer_id, value))
    if kind == "l":
        peer_id, _, rest = rest.partition(" ")
        if not peer_id:
            raise ValueError("a departure of nobody")
        return Left(room, peer_id, _reason(rest.partition(" ")[0]))
    if kind == "s":
        node, _, rest = rest.partition(" ")
        reason, _, text = rest.partition(" ")
        if not node:
            raise ValueError("the members of no node")
        entries = tuple(read_entry(room, *each) for each in _object(text).items())
        return Settled(node, _reason(reason), entries)
    if kind == "v":
        key, _, text = rest.partition(" ")
        return Swapped(read_value(key, text))
    return None


def _reason(word: str) -> Reason:
    if len(word) > LONGEST_REASON or not (word.isascii() and word.isidentifier()):
        raise ValueError("a reason that is none")
    return word  # type: ignore[return-value]  # a later release may know more reasons


def read_entries(room: str, values: Iterable[tuple[str, str]]) -> Iterator[Entry]:
    """Read the members that can be read, by peer id; one that can't must not keep a node from getting ready."""
    for peer_id, value in values:
        with suppress(ValueError):
            yield read_entry(room, peer_id, value)


def read_values(texts: Mapping[str, str]) -> Iterator[Value]:
    """Read the values that can be read, by key."""
    for key, text in texts.items():
        with suppress(ValueError):
            yield read_value(key, text)


def read_roster(room: str, fields: Mapping[str, str], texts: Mapping[str, str] | None = None) -> Roster:
    """Read a room's hash and the values beside it, with the members and the values that can be read.

    Raises:
        ValueError: It is not a room's hash.
    """
    values = tuple(read_values(texts or {}))
    if "" not in fields:
        return Roster(NOWHERE, values=values)
    epoch, _, rest = fields[""].partition(" ")
    number, *settled = rest.split(" ")
    entries = read_entries(room, (field for field in fields.items() if field[0]))
    return Roster(
        Version(_number(epoch), _number(number)),
        tuple(sorted(entries, key=lambda entry: entry.since)),
        frozenset(settled),
        values,
    )
