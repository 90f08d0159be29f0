"""This worker's Unix socket, kept where the other workers look for it.

While we run, the folder may be removed (by a cleaner of temporary files, or at the end of a login), it may be
unusable for a while (on a full disk), or another folder may replace it. So this worker checks it every second, and
makes its socket again with the same tag, so that sessions go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from walkie_signal.runtime_folder import UnusableError
from walkie_signal.transport.workers import folder
from walkie_signal.unix_sockets import BACKLOG

log = logging.getLogger("walkie_signal.transport")

LOOK = 1.0
"""Seconds between two checks."""

MENDED = 1.5
"""Seconds after which the other workers have noticed a removal of the folder too: `LOOK`, and some more."""


class Doorway:
    """The socket of one worker.

    Args:
        accepted: Makes the protocol of a connection that another worker opens.
    """

    def __init__(self, accepted: Callable[[], asyncio.BaseProtocol]) -> None:
        self._accepted = accepted
        self._tag = ""
        self._where: Path | None = None
        self._folder = 0
        self._socket = 0
        self._mended = 0.0
        self._complained = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._listening: asyncio.Task[asyncio.AbstractServer] | None = None
        self._remove: Callable[[], Any] = lambda: None

    @property
    def tag(self) -> str:
        """The name by which the others know this worker; empty while they can't reach it."""
        return self._tag if self._listening is not None else ""

    @property
    def where(self) -> Path | None:
        """The folder, or ``None`` while it can't be used."""
        if self._loop is None:
            self._look()
        return self._where

    def open(self) -> bool:
        """Listen from now on, on the running loop; returns false if it listens there already."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return False
        self._forget()  # each test of a host has its own loop
        self._loop, self._tag = loop, secrets.token_urlsafe(6)
        self._look_on(loop)
        if self._where is not None:
            folder.remove_stale(self._where)
        return True

    async def close(self) -> None:
        """Stop listening, and leave no file behind."""
        if self._listening is not None and self._loop is asyncio.get_running_loop():
            await asyncio.wait([self._listening])
        self._forget()

    def was_removed(self) -> bool:
        """Tell whether the folder was removed a moment ago, so that other workers may still have to come back."""
        self._look()
        return asyncio.get_running_loop().time() - self._mended < MENDED

    def _look_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look()
        self._timer = loop.call_later(LOOK, self._look_on, loop)

    def _look(self) -> None:
        """Check whether the folder and the socket are as they were, and restore them if not."""
        try:
            where = folder.find()
            inode = where.stat().st_ino
            moved = (where, inode) != (self._where, self._folder)
            if moved or (self._loop is not None and not self._is_there(where)):
                self._shut()
                self._open_in(where)
            known, self._where, self._folder = self._folder, where, inode
        except (OSError, UnusableError) as reason:
            self._shut()
            self._where = None
            self._complain(reason)
            return
        if moved and known:
            log.warning(
                "the folder by which workers hand requests over was removed; it is made again: %s", where
            )
            self._mended = asyncio.get_running_loop().time()
        if self._complained:
            self._complained = False
            log.info("requests are handed over to other workers again")

    def _complain(self, reason: Exception) -> None:
        if not self._complained:
            self._complained = True
            log.warning(
                "requests are not handed over to other workers, so peers that poll need sticky sessions: %s",
                reason,
            )

    def _is_there(self, where: Path) -> bool:
        try:
            return folder.socket_path(where, self._tag).lstat().st_ino == self._socket
        except FileNotFoundError:
            return False

    def _open_in(self, where: Path) -> None:
        if self._loop is None:
            return
        path = folder.socket_path(where, self._tag)
        listener = folder.listener(path)
        self._socket = path.lstat().st_ino
        # This also removes the socket if the process ends without calling `close`
        self._remove = weakref.finalize(self, folder.remove, path, os.getpid())
        self._listening = self._loop.create_task(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(self._accepted, sock=listener, backlog=BACKLOG)

    def _shut(self) -> None:
        listening, self._listening = self._listening, None
        self._remove()
        if listening is not None and listening.done():
            _close(listening)
        elif listening is not None:
            listening.add_done_callback(_close)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._shut()
        self._loop = self._timer = None
        self._where, self._folder = None, 0


def _close(listening: asyncio.Task[asyncio.AbstractServer]) -> None:
    if not listening.cancelled() and listening.exception() is None:
        listening.result().close()
