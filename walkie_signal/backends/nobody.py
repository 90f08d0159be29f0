"""A node to which no peer connects."""

from __future__ import annotations

from walkie_signal.core.changes import Change, Member


class Nobody:
    """Such a node, as its backend calls it."""

    def apply(self, change: Change) -> None:
        """Do nothing."""

    def look(self, room: str) -> None:
        """Do nothing."""

    def forget(self, room: str) -> None:
        """Do nothing."""

    def hand_over(self, room: str, peer_id: str, text: str) -> None:
        """Do nothing."""

    def tell(self, user_id: str, text: str) -> None:
        """Do nothing."""

    def kick(self, peer_id: str) -> None:
        """Do nothing."""

    def lost(self, member: Member) -> None:
        """Do nothing."""

    def fenced(self) -> None:
        """Do nothing."""
