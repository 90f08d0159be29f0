"""What a store keeps of rooms, and what it publishes of their changes, as texts.

Whatever the data is, reading it gives a value of the right types or raises a `ValueError` with a text of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from typing_extensions import assert_never

from walkie_signal.backends.shared.format import WRITES, after_format, read_number
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

LONGEST_REASON = 32
"""Letters of a reason; ours have up to 12, but a later release may have longer ones."""


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
    return Entry(Member(peer_id, room, role, user_id, node), read_number(since))


def _object(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        value = loads(text)
        if isinstance(value, dict):
            return value
    raise ValueError("not an object")


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
    return Value(key, read_number(version), read_number(until), node, rest)


def write_room_message(version: Version, event: RoomEvent) -> str:
    """Write a change as it is published; the scripts of the store on Redis do the same."""
    head = f"{WRITES} {version.epoch} {version.number}"
    if isinstance(event, Entered):
        return f"{head} j {event.entry.member.peer_id} {write_entry(event.entry)}"
    if isinstance(event, Left):
        return f"{head} l {event.peer_id} {event.reason}"
    if isinstance(event, Settled):
        entries = {entry.member.peer_id: write_entry(entry) for entry in event.entries}
        return f"{head} s {event.node} {event.reason} {dumps(entries)}"
    if isinstance(event, Swapped):
        return f"{head} v {event.value.key} {write_value(event.value)}"
    assert_never(event)


def read_room_message(room: str, data: bytes) -> tuple[Version, RoomEvent | None]:
    """Read a change from a room's channel; the event is ``None`` if this release doesn't know its kind.

    Raises:
        ValueError: It has another format, or it is malformed.
    """
    epoch, rest = after_format(data.decode())
    number, _, rest = rest.partition(" ")
    kind, _, rest = rest.partition(" ")
    if not kind:
        raise ValueError("a change that lacks something")
    return Version(read_number(epoch), read_number(number)), _read_event(room, kind, rest)


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
        raise ValueError("an unknown reason")
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
    if not fields:
        return Roster(NOWHERE, values=values)
    if "" not in fields:
        raise ValueError("a room without a version")
    epoch, _, rest = fields[""].partition(" ")
    number, *settled = rest.split(" ")
    entries = read_entries(room, (field for field in fields.items() if field[0]))
    return Roster(
        Version(read_number(epoch), read_number(number)),
        tuple(sorted(entries, key=lambda entry: entry.since)),
        frozenset(settled),
        values,
    )
