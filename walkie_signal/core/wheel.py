"""What is to be done when: one wheel of slots for any number of times.

    put ──▶ slot of its time ──(the slot has come)──▶ due, once
                  │
                  └──put again: another slot; drop: none

There are two rules for this file: nothing is due before its time, or more than a tick after it; and to put or to
drop something costs the same however much is on the wheel.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Act = TypeVar("Act")


class Wheel(Generic[Act]):
    """Things to do, each known by a key. Times are seconds of any one clock that only goes forward.

    Args:
        tick: The length of a slot, in seconds.
    """

    __slots__ = ("_slot_of", "_slots", "_tick")

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._slots: dict[int, dict[Hashable, Act]] = {}
        self._slot_of: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._slot_of)

    def put(self, key: Hashable, when: float, act: Act) -> float:
        """Let something be due at a time; if it was on the wheel already, only the new time holds.

        Returns when to ask for it.
        """
        self.drop(key)
        slot = self._slot_of[key] = int(when / self._tick) + 1
        acts = self._slots.get(slot)
        if acts is None:
            acts = self._slots[slot] = {}
        acts[key] = act
        return slot * self._tick

    def drop(self, key: Hashable) -> None:
        """Take something off the wheel, if it is there."""
        slot = self._slot_of.pop(key, None)
        if slot is not None and (acts := self._slots.get(slot)) is not None:
            acts.pop(key, None)
            if not acts:
                del self._slots[slot]

    def clear(self) -> None:
        """Take everything off the wheel."""
        self._slots.clear()
        self._slot_of.clear()

    @property
    def next_at(self) -> float | None:
        """When to ask for what is due next; ``None`` if nothing is on the wheel."""
        return min(self._slots) * self._tick if self._slots else None

    def due(self, now: float) -> Iterator[tuple[Hashable, Act]]:
        """Take off what is due, the earliest slot first; what is put or dropped meanwhile is heeded."""
        for slot in sorted(slot for slot in self._slots if slot * self._tick <= now):
            for key, act in self._slots.pop(slot, {}).items():
                if self._slot_of.get(key) == slot:
                    del self._slot_of[key]
                    yield key, act
