"""Which node this process is at present: its id, what it knows of the store's data, and its beats.

    none ──begin──▶ unregistered ──register──▶ registered ──┐
                         ▲                         │        │ end
                         └───────── go_on ─────────┘        ▼
                                                           none

A node that was silent for longer than its lease goes on as another one. It still knows which generation of the
store's data its copies are from, so it also notices if the store has lost its memory meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from walkie_signal.core.replicas import Roster

MEMORY = "memory"
"""The generation of rooms that were in this process's memory: no store draws it, so they are written back."""


class Incarnation:
    """The node that this process is.

    Attributes:
        id: Its id; empty before the start, because the process may be forked until then, and after the close.
        earlier: The ids that it has had since the start, but for the present one; their members are gone.
        generation: The generation of the store's data that was seen last; the store draws another one when it has
            lost its memory. Empty until one was seen.
        sent: The number of the last beat that was sent.
        heard: The number of the last beat that came back.
    """

    __slots__ = ("_registered", "earlier", "generation", "heard", "id", "sent")

    def __init__(self) -> None:
        self.id = self.generation = ""
        self.earlier: frozenset[str] = frozenset()
        self.sent = self.heard = 0
        self._registered = False

    @property
    def known(self) -> str:
        """The generation in which the store has this node; empty if it has not been told of it yet."""
        return self.generation if self._registered else ""

    def begin(self, former: str = "") -> None:
        """Become a node that the store does not know yet; with `former`, the one of that id, which has members."""
        self.id, self.generation = former or secrets.token_hex(8), MEMORY if former else ""
        self.sent = self.heard = 0
        self._registered = False

    def go_on(self) -> None:
        """Become another node, which the store has not been told of yet."""
        self.earlier |= {self.id}
        self.id = secrets.token_hex(8)
        self._registered = False

    def end(self) -> None:
        """Be no node any more."""
        self.id, self._registered = "", False

    def register(self, generation: str) -> bool:
        """Record that the store has this node; returns whether it has lost its memory since it was seen last."""
        forgotten = self.generation not in ("", generation)
        self.generation, self._registered = generation, True
        return forgotten

    # Its beats

    def beat(self) -> int:
        """Return the number of the next beat, which is sent now."""
        self.sent += 1
        return self.sent

    def hear(self, number: int) -> None:
        """Record that a beat came back; a number that was not sent is somebody else's."""
        if self.heard < number <= self.sent:
            self.heard = number

    def listen(self) -> None:
        """Expect only beats that are sent from now on, because the way on which they come back is new."""
        self.heard = self.sent


class Former(NamedTuple):
    """A node that has kept its rooms alone.

    Attributes:
        node_id: Its id.
        rosters: Its rooms, by their names.
    """

    node_id: str
    rosters: Mapping[str, Roster]
