"""What a fork of this process must not keep: whoever waits for the end of this process would wait for the fork too.

In the fork the file is replaced by an empty one under the same number, so nobody closes a number that is in use for
something else by then; and a lock is never unlocked there, which would unlock it here too.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import Protocol


class Opened(Protocol):
    """Anything with an open file."""

    def fileno(self) -> int:
        """Return the number of the file; below 0 if it is closed."""


_OURS: weakref.WeakSet[Opened] = weakref.WeakSet()


def keep_from_forks(opened: Opened) -> None:
    """Let go of an open file in each fork from now on."""
    _OURS.add(opened)


def _let_go() -> None:
    empty = os.open(os.devnull, os.O_RDWR)
    for opened in list(_OURS):
        number = opened.fileno()
        if number >= 0:
            with suppress(OSError):
                os.dup2(empty, number, inheritable=False)
    os.close(empty)
    _OURS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
