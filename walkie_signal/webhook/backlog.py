"""The events that wait to be sent, in the order in which they happened; the oldest go when there are too many."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Waiting(NamedTuple):
    """An event that waits."""

    event_id: str
    text: bytes


class Backlog:
    """Holds at most `most_events` events, and `most_bytes` of their text."""

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._events: deque[Waiting] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._events)

    def add(self, event: Waiting) -> int:
        """Add the newest event; returns how many of the oldest were dropped for it."""
        self._events.append(event)
        self._bytes += len(event.text)
        dropped = 0
        while len(self._events) > self._most_events or self._bytes > self._most_bytes:
            self._pop()
            dropped += 1
        return dropped

    def take(self, most_events: int, most_bytes: int) -> list[Waiting]:
        """Take the oldest events for one request, at least one if there is one."""
        taken: list[Waiting] = []
        room = most_bytes
        while self._events and len(taken) < most_events:
            room -= len(self._events[0].text)
            if taken and room < 0:
                break
            taken.append(self._pop())
        return taken

    def _pop(self) -> Waiting:
        event = self._events.popleft()
        self._bytes -= len(event.text)
        return event


def body_of(events: list[Waiting]) -> bytes:
    """Return the body of the request that tells of some events."""
    return b'{"events":[%s]}' % b",".join(event.text for event in events)
