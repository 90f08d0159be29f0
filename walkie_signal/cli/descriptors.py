"""File descriptors: how many there may be, and what to do when none are left.

Each connection takes one, and a process that has none left can't accept connections. uvloop (libuv) keeps one for
this case: it accepts and closes each new connection with it, and logs nothing. asyncio logs each of the 2,048 tries
that it makes in a row, and repeats them all a second later, which keeps a core busy (``selector_events.py`` of
CPython, ``_accept_connection``). Here both do what libuv does, and log one line a minute.
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
"""The limit that Linux itself gives a process: somebody has chosen a lower one, but perhaps not for a server."""

MOST = 1 << 20
"""The limit that is asked for if there is no hard limit: Linux' ``fs.nr_open``."""

LOOK = 1.0
"""Seconds between two checks whether descriptors are left."""

QUIET = 60.0
"""Least seconds between two log lines about having none."""

GONE = (errno.EMFILE, errno.ENFILE)


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one; log that, and warn if the limit is low.

    Child processes inherit it. Go and Node do the same when they start: the soft limit is only low for programs
    that use ``select``, which ours don't.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has another bound, which it does not report
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
    """Watches the descriptors of a server process, until the event loop ends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._quiet_until = 0.0
        self._spare = -1
        self._take_spare()
        self._loop.set_exception_handler(self._failed)
        self._look()

    def _take_spare(self) -> bool:
        """Open the spare descriptor if it is not open; returns whether it is open."""
        if self._spare < 0:
            try:
                self._spare = os.open(os.devnull, os.O_RDONLY)
            except OSError as error:
                self._say(error)
        return self._spare >= 0

    def _look(self) -> None:
        """Notice that none is left, because not every event loop reports it."""
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
        """Accept and close all waiting connections: asyncio then stops trying, and no client waits in vain."""
        if self._spare < 0:
            return
        os.close(self._spare)
        self._spare = -1
        listener = socket.socket(fileno=fileno)
        with suppress(OSError):  # no connection waits any more
            while True:
                listener.accept()[0].close()
        listener.detach()
        self._take_spare()
