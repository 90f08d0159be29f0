"""What a fork of this process must not keep: whoever waits for the end of this process would wait for the fork too.

In the fork an open file is replaced by an empty one under the same number, so nobody closes a number that is in use
for something else by then; and a lock is never unlocked there, which would unlock it here too. A fork has no other
thread of this process, so what relies on them begins anew there.
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


class BeginsAnew(Protocol):
    """Anything that relies on threads."""

    def begin_anew(self) -> None:
        """Begin with nothing of another process."""


_THREADED: weakref.WeakSet[BeginsAnew] = weakref.WeakSet()
_OURS: weakref.WeakSet[Opened] = weakref.WeakSet()


def keep_from_forks(opened: Opened) -> None:
    """Let go of an open file in each fork from now on."""
    _OURS.add(opened)


def begin_anew_in_forks(threaded: BeginsAnew) -> None:
    """Begin something anew in each fork from now on, before any thread of the fork can use it."""
    _THREADED.add(threaded)


def _let_go() -> None:
    empty = os.open(os.devnull, os.O_RDWR)
    for opened in list(_OURS):
        number = opened.fileno()
        if number >= 0:
            with suppress(OSError):
                os.dup2(empty, number, inheritable=False)
    os.close(empty)
    _OURS.clear()


def _begin_anew() -> None:
    for threaded in list(_THREADED):
        threaded.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
    os.register_at_fork(after_in_child=_begin_anew)
