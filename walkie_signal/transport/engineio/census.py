"""How much a server holds at one moment: tests see by it that nothing is left, and metrics may tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of a server; soon after all its connections have gone, each is 0.

    Attributes:
        connections: The connections that it has, including those that are ending.
        waiting: The frames that wait in their outboxes.
        lingering: The sessions that are over, and whose next poll is still owed an answer.
        watched: The connections on which something waits, or that have joined nothing yet.
        tasks: The tasks that it has under way.
    """

    connections: int
    waiting: int
    lingering: int
    watched: int
    tasks: int
