"""Keys of ours that hold what no node writes there: each is named once, and what it is for waits; the rest goes on.

Somebody else has written there, or a script of theirs. Such a key is left as it is, unless it belongs to this node.
"""

from __future__ import annotations

import logging
from typing import Any

import hiredis

from walkie_signal.bounded_log import BoundedLog

log = logging.getLogger("walkie_signal.redis")

SIGNS = ("WRONGTYPE", "STRANGE")
"""How the error begins if a key is of another type, and if a script of ours finds a text that is none of ours."""

MOST_TOLD = 1000
"""Keys that are remembered as told of."""


class StrangeKeys:
    """Tells of strange keys, once for each until it is as it should be again."""

    def __init__(self) -> None:
        self._lines = BoundedLog(log)
        self._told: dict[str, None] = {}

    def tell(self, key: str) -> None:
        """Log the name of a key."""
        if key in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            del self._told[next(iter(self._told))]
        self._told[key] = None
        message = "the key %r holds a value that no node writes: only what needs this key is unavailable"
        self._lines.write(logging.WARNING, "strange keys", message, key)

    def look(self, key: str, answer: Any) -> None:
        """Tell of a key if an answer says that it is strange."""
        if is_strange(answer):
            self.tell(key)

    def mended(self, key: str) -> None:
        """Take note that a key is as it should be."""
        self._told.pop(key, None)


def is_strange(answer: Any) -> bool:
    """Tell whether Redis' answer says that a key holds what no node writes there."""
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith(SIGNS)
