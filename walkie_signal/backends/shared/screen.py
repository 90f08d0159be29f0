"""Shows a node the changes of its rooms: each of them where peers can ask for a room, else that there were some."""

from __future__ import annotations

from walkie_signal.backends.base import Site
from walkie_signal.core.changes import Change, Member
from walkie_signal.core.emits import is_stored_name


class Screen:
    """What stands between the rooms that a node follows and its site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def apply(self, change: Change) -> None:
        """Make a change."""
        if not is_stored_name(change.room):
            self._site.apply(change)

    def changed(self, room: str) -> None:
        """Record that changes of a room have been made, or that one of its values may be another now."""
        if is_stored_name(room):
            self._site.look(room)

    def forget(self, room: str) -> None:
        """Record that a room is not followed any more."""
        if not is_stored_name(room):
            self._site.forget(room)

    def lost(self, member: Member) -> None:
        """Record that this node has removed a member of a dead node."""
        if not is_stored_name(member.room):
            self._site.lost(member)
