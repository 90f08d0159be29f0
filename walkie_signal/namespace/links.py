"""Links to connections of a stock python-socketio server, which can't send synchronously."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from walkie_signal.core.ports import Link, TextHandler

log = logging.getLogger("walkie_signal")

CLOSE_TIMEOUT = 5.0
"""Seconds for a close: if a peer does not read, python-engineio would wait for ever."""


def link_to(server: Any, eio_sid: str, namespace: str) -> Link:
    """Return the server's own link to a connection; if it offers none, return one that works on any server."""
    offered = getattr(server, "link", None)
    link: Link = StockLink(server.eio, eio_sid) if offered is None else offered(eio_sid, namespace)
    return link


class StockLink:
    """Sends texts in order, with one task while there is something to send."""

    def __init__(self, eio: Any, eio_sid: str) -> None:
        self._eio = eio
        self._eio_sid = eio_sid
        self._texts: deque[str | None] = deque()
        self._task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return "on a stock server"

    def send(self, text: str) -> None:
        """Queue a text."""
        self._queue(text)

    def send_latest(self, key: str, text: str) -> None:  # noqa: ARG002 - a text can't be taken back from its queue
        """Queue a text."""
        self._queue(text)

    def close(self) -> None:
        """Close the transport after what is queued."""
        self._queue(None)

    def listen(self, handler: TextHandler) -> None:
        """Do nothing: a stock server does not hand over texts; its events arrive through the binding."""

    def _queue(self, text: str | None) -> None:
        self._texts.append(text)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._texts:
                text = self._texts.popleft()
                if text is None:
                    await asyncio.wait_for(self._eio.disconnect(self._eio_sid), CLOSE_TIMEOUT)
                else:
                    await self._eio.send(self._eio_sid, text[1:])  # it writes the 4 of a message itself
        except Exception as error:  # noqa: BLE001 - the connection is gone, or does not read
            log.debug("a connection took no more: %r", error)
            self._texts.clear()
        finally:
            self._task = None
