"""Keys of ours with a value that no node writes. The log names each once; only what needs the key has to wait.

Somebody else, or their script, has written there. Such a key is left as it is, unless it belongs to this node.
"""

from __future__ import annotations

import logging
from typing import Any

import hiredis

from walkie_signal.bounded_log import BoundedLog

log = logging.getLogger("walkie_signal.redis")

SIGNS = ("WRONGTYPE", "STRANGE")
"""The beginnings of errors: the key has another type, or a script of ours finds a text that no node writes."""

MOST_TOLD = 1000
"""How many keys are remembered as reported."""


class StrangeKeys:
    """Reports strange keys; each once, until it is as it should be again."""

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
        """Report a key if an answer says that it is strange."""
        if is_strange(answer):
            self.tell(key)

    def mended(self, key: str) -> None:
        """Record that a key is as it should be."""
        self._told.pop(key, None)


def is_strange(answer: Any) -> bool:
    """Tell whether Redis' answer says that a key holds a value that no node writes."""
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith(SIGNS)
