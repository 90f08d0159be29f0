"""A node that records the calls of its backend."""

from __future__ import annotations

from collections.abc import Callable

from support.waiting import WITHIN, Arrivals
from walkie_signal.core.changes import Change, Joined, Left, Member


class KeptSite:
    """A `Site` that records its calls."""

    def __init__(self) -> None:
        self.applied: list[Change] = []
        self.handed_over: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.kicked: list[str] = []
        self.removed: list[Member] = []
        self.looked: list[str] = []
        self.fences = 0
        self._arrivals = Arrivals(self._kept)

    def _kept(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    async def until(self, condition: Callable[[], object], within: float = WITHIN) -> None:
        """Wait until a condition on the recorded calls holds."""
        await self._arrivals.until(condition, within=within)

    def apply(self, change: Change) -> None:
        self.applied.append(change)
        self._arrivals.grew()

    def look(self, room: str) -> None:
        self.looked.append(room)
        self._arrivals.grew()

    def forget(self, room: str) -> None:
        self.applied = [change for change in self.applied if change.room != room]
        self._arrivals.grew()

    def hand_over(self, room: str, peer_id: str, text: str) -> None:
        """Record a signal, unless its target is not in the room any more: a node looks at that, not its backend."""
        changes = [change for change in self.applied if change.room == room and _peer_of(change) == peer_id]
        if changes and isinstance(changes[-1], Joined):
            self.handed_over.append((peer_id, text))
            self._arrivals.grew()

    def tell(self, user_id: str, text: str) -> None:
        self.told.append((user_id, text))
        self._arrivals.grew()

    def kick(self, peer_id: str) -> None:
        self.kicked.append(peer_id)
        self._arrivals.grew()

    def lost(self, member: Member) -> None:
        self.removed.append(member)
        self._arrivals.grew()

    def fenced(self) -> None:
        self.fences += 1
        self._arrivals.grew()


def _peer_of(change: Change) -> str:
    return change.peer_id if isinstance(change, Left) else change.member.peer_id
