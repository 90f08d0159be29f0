"""The mesh: messages from node to node of one machine, by Unix sockets and past the store.

Each node listens on a socket that bears its id, in a folder that the nodes of its store on this machine share.
A message is sent that way to whoever listens there, and else by the store's channel (`ways`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.backends.shared.mesh_ends import Hear, Incoming
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.runtime_folder import UnusableError
from walkie_signal.unix_sockets import listener_at, remove_left

log = logging.getLogger("walkie_signal.store")


class Mesh:
    """The mesh as one node sees it.

    Args:
        folder: Returns the folder of the sockets, and makes it if there is none. Raises `UnusableError`.
            ``None`` if there is to be no mesh.
        incarnation: This node.
        lifetime: How long this process may go on as that node; after it, nothing is heard.
    """

    def __init__(
        self, folder: Callable[[], Path] | None, incarnation: Incarnation, lifetime: Lifetime
    ) -> None:
        self._folder = folder
        self._incarnation = incarnation
        self._lifetime = lifetime
        self._lines = BoundedLog(log)
        self._where: Path | None = None
        self._node = ""
        self._server: asyncio.AbstractServer | None = None
        self._ends: set[Incoming] = set()

    async def open(self, hear: Hear) -> None:
        """Listen as the node of now; without a folder, all messages go by the store's channel."""
        path = self.path(self._node)
        if self._folder is None or (
            self._node == self._incarnation.id and path is not None and path.exists()
        ):
            return
        if self._node != self._incarnation.id:
            self.cut()
        self._listen_no_more()
        try:
            where = self._folder()
            remove_left(where, "?" * len(self._incarnation.id) + ".sock")
            listener = listener_at(self._path(where, self._incarnation.id))
        except (OSError, UnusableError) as error:
            message = "signals to other nodes only go through the store: %s"
            self._lines.write(logging.WARNING, "no sockets between nodes", message, error)
            return
        # Whoever closes this while it starts has to find it
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Incoming(self._lifetime, hear, self._ends), sock=listener, start_serving=False
        )
        self._where, self._node = where, self._incarnation.id
        await self._server.start_serving()

    def close(self) -> None:
        """Listen no more, and hear no more."""
        self._listen_no_more()
        self.cut()

    def _listen_no_more(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self.forget(self._node)
            if self._where is not None:
                with suppress(OSError):  # others are in it
                    self._where.rmdir()
            self._where = None

    def forget(self, node: str) -> None:
        """Remove what a dead node has left behind."""
        if self._where is not None:
            with suppress(OSError):
                self._path(self._where, node).unlink()

    def cut(self) -> None:
        """Hear no more of what was sent until now."""
        for end in list(self._ends):
            end.abort()

    def path(self, node: str) -> Path | None:
        """Return where a node of this machine listens; ``None`` if this node has no mesh."""
        return None if self._where is None else self._path(self._where, node)

    @staticmethod
    def _path(where: Path, node: str) -> Path:
        return where / f"{node}.sock"
