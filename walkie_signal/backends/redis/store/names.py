"""The names of keys and channels in Redis.

The text in braces is Redis Cluster's hash tag: keys with the same tag share a slot.
"""

from __future__ import annotations


class Names:
    """The names of one namespace of one service; each begins with the service's prefix."""

    def __init__(self, prefix: str, namespace: str, database: int = 0) -> None:
        # Databases separate services, but channels don't belong to a database
        self._base = f"{prefix}:{namespace}" if database == 0 else f"{prefix}:{database}:{namespace}"
        self.nodes = f"{self._base}:{{nodes}}"
        """Sorted set: each node, by the time when it last renewed its lease, in microseconds of Redis' clock."""
        self.generation = f"{self._base}:{{nodes}}:generation"
        """String: a value that is drawn again when Redis has lost its memory."""

    def claim(self, node: str) -> str:
        """String: the node that removes a dead one; it expires after the time that this may take."""
        return f"{self._base}:{{nodes}}:claim:{node}"

    def room(self, room: str) -> str:
        """Hash: a room's members, and under the empty name its version. Channel: its changes."""
        return f"{self._base}:room:{{{room}}}"

    def values(self, room: str) -> str:
        """Hash: the values beside a room, by their keys."""
        return f"{self.room(room)}:values"

    def room_and_values(self, room: str) -> list[str]:
        """Return the keys of a room and of the values beside it, as the scripts take them."""
        return [self.room(room), self.values(room)]

    def node(self, node: str) -> str:
        """Channel: what is only for that node."""
        return f"{self._base}:node:{{{node}}}"

    def trial(self, node: str) -> str:
        """Any type, only while one script runs: with it, a node tries the commands that it needs."""
        return f"{self._base}:node:{{{node}}}:trial"

    def rooms_of(self, node: str) -> str:
        """Set: the rooms that a node has members in, or may have."""
        return f"{self._base}:node:{{{node}}}:rooms"

    def peer(self, peer_id: str) -> str:
        """Hash: the connection with that id, and its node."""
        return f"{self._base}:peer:{{{peer_id}}}"

    def user(self, user_id: str) -> str:
        """Hash: the connections that speak for a user, each with its node."""
        return f"{self._base}:user:{{{user_id}}}"
