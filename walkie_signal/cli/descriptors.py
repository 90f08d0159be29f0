"""File descriptors: how many there may be, and what to do when they are gone.

Each connection takes one, and a process that has none left can accept nobody. uvloop (libuv) then accepts and
closes whoever comes, with one that it keeps for this, and says nothing. asyncio logs each of the 2,048 tries that
it makes in a row, and has them all made again a second later, which keeps a core busy (``selector_events.py`` of
CPython, ``_accept_connection``). Here both do what libuv does, and one line a minute says so.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from contextlib import suppress
from typing import Any

if sys.platform != "win32":
    import resource

log = logging.getLogger("walkie_signal")

LOW = 4096
"""What Linux itself gives a process at the most: a lower limit is somebody's choice, maybe not for a server."""

MOST = 1 << 20
"""The most that is asked for where there is no limit: Linux' ``fs.nr_open``."""

LOOK = 1.0
"""Seconds between two looks whether descriptors are left."""

QUIET = 60.0
"""Seconds between two lines that none are."""

GONE = (errno.EMFILE, errno.ENFILE)


def raise_limit() -> None:
    """Let this process, and those it starts, open as many files as it may; say so, and where those are few.

    Go and Node do so when they start: the soft limit is low for programs that use ``select``. Ours don't.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has another bound besides, which it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            log.info("limit of open files raised from %d to %d", soft, wanted)
            soft = wanted
    if soft != resource.RLIM_INFINITY and soft < LOW:
        log.warning(
            "only %d files may be open, and each connection is one: raise the limit, "
            "by LimitNOFILE of systemd, ulimits of a container, or ulimit -n",
            soft,
        )


class Shortage:
    """Looks after the descriptors of a process that serves, from when it is made to the end of the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._quiet_until = 0.0
        self._spare = -1
        self._take_spare()
        self._loop.set_exception_handler(self._failed)
        self._look()

    def _take_spare(self) -> bool:
        """Open the descriptor that is kept for this; tell whether it is there."""
        if self._spare < 0:
            try:
                self._spare = os.open(os.devnull, os.O_RDONLY)
            except OSError as error:
                self._say(error)
        return self._spare >= 0

    def _look(self) -> None:
        """Notice that none is left where the event loop does not tell."""
        if self._take_spare():
            try:
                os.close(os.dup(self._spare))
            except OSError as error:
                self._say(error)
        self._loop.call_later(LOOK, self._look)

    def _say(self, error: OSError) -> None:
        now = self._loop.time()
        if error.errno in GONE and now >= self._quiet_until:
            self._quiet_until = now + QUIET
            log.error(
                "no file descriptors left (%s): new connections are closed until others end", error.strerror
            )

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in GONE and "socket" in context:
            self._say(error)
            self._turn_away(context["socket"].fileno())
        else:
            loop.default_exception_handler(context)

    def _turn_away(self, fileno: int) -> None:
        """Accept and close all who wait: then asyncio's next try is its last, and they don't wait for nothing."""
        if self._spare < 0:
            return
        os.close(self._spare)
        self._spare = -1
        listener = socket.socket(fileno=fileno)
        with suppress(OSError):  # nobody waits any more
            while True:
                listener.accept()[0].close()
        listener.detach()
        self._take_spare()
