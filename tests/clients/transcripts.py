"""What peers heard from two servers, compared.

A transcript is what ``npm/parity.js`` prints: for each step, for each peer, the events it heard, in order,
each a list of the event's name and its arguments. Two rules:

1. Each event of the legacy server is there, in the same order per recipient, with its keys and values.
2. What stands beside it is documented: no other events, no other keys, and the keys in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Event = list[Any]
Transcript = Mapping[str, Any]


@dataclass(frozen=True)
class Keys:
    """The keys of an object, in their documented order."""

    order: tuple[str, ...]
    optional: frozenset[str] = frozenset()

    def faults(self, value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{value!r} is no object"
            return
        if unknown := [key for key in value if key not in self.order]:
            yield f"undocumented keys {unknown}"
        elif missing := [key for key in self.order if key not in value and key not in self.optional]:
            yield f"no key {missing}"
        elif list(value) != (wanted := [key for key in self.order if key in value]):
            yield f"keys in the order {list(value)}, not {wanted}"


_GIVEN = frozenset({"role", "userId"})
MEMBER = Keys(("userId", "role", "peerId"), _GIVEN)
PAYLOADS = {
    "new_peer": Keys(("peerId", "role", "userId", "room", "polite"), _GIVEN),
    "signal": Keys(("fromId", "signal"), frozenset({"signal"})),
    "peer_disconnected": Keys(("peerId", "room", "reason")),
    "room_status": Keys(("members", "room")),
    "signal_error": Keys(("event", "code", "message")),
}
"""For peers that do not ask for resumption: ``away`` and ``seq`` are not for them."""

ADDITIVE_EVENTS = frozenset({"signal_error"})


def differences(legacy: Transcript, ours: Transcript) -> list[str]:
    """Tell where `ours` breaks rule 1."""
    theirs, mine = legacy["steps"], ours["steps"]
    if [step["step"] for step in theirs] != [step["step"] for step in mine]:
        return ["the steps are not the same"]
    found = []
    for old, new in zip(theirs, mine, strict=True):
        for peer in sorted({*old["heard"], *new["heard"]}):
            heard = settled(old["heard"].get(peer, []))
            kept = [event for event in settled(new["heard"].get(peer, [])) if event[0] not in ADDITIVE_EVENTS]
            found += [f"{old['step']}: {peer}: {what}" for what in _events(heard, kept)]
    return found


def undocumented(ours: Transcript) -> list[str]:
    """Tell where `ours` breaks rule 2."""
    return [
        f"{step['step']}: {peer}: {event[0]}: {fault}"
        for step in ours["steps"]
        for peer, heard in step["heard"].items()
        for event in heard
        for fault in _shape(event)
    ]


def settled(heard: list[Event]) -> list[Event]:
    """Keep the last ``room_status`` alone, as the last event: of quick changes a peer may hear fewer."""
    rosters = [event for event in heard if event[0] == "room_status"]
    return [event for event in heard if event[0] != "room_status"] + rosters[-1:]


def _events(legacy: list[Event], ours: list[Event]) -> Iterator[str]:
    if [event[0] for event in legacy] != [event[0] for event in ours]:
        yield f"heard {_text(ours)} where the legacy server sent {_text(legacy)}"
        return
    for old, new in zip(legacy, ours, strict=True):
        if not _covers(old, new):
            yield f"heard {_text(new)} where the legacy server sent {_text(old)}"


def _covers(legacy: Event, ours: Event) -> bool:
    if len(legacy) != len(ours):
        return False
    if legacy[0] != "room_status":
        return all(_has(new, old) for old, new in zip(legacy[1:], ours[1:], strict=True))
    old, new = legacy[1]["members"], ours[1].get("members")
    return (
        isinstance(new, list)
        and len(old) == len(new)
        and all(_has(mine, member) for member, mine in zip(old, new, strict=True))
    )


def _has(ours: Any, legacy: dict[str, Any]) -> bool:
    """Tell whether `ours` has each key of `legacy`, its value the same to the letter (1 is not 1.0)."""
    return isinstance(ours, dict) and all(
        key in ours and _text(ours[key]) == _text(value) for key, value in legacy.items()
    )


def _shape(event: Event) -> Iterator[str]:
    name, *arguments = event
    if name not in PAYLOADS:
        yield "undocumented event"
        return
    if len(arguments) != 1:
        yield f"{len(arguments)} arguments"
        return
    yield from PAYLOADS[name].faults(arguments[0])
    if name == "room_status":
        for member in arguments[0].get("members", []):
            yield from MEMBER.faults(member)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
