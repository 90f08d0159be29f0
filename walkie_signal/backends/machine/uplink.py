"""A worker's way to the keeper of its group; where there is none, the worker begins a term itself."""

from __future__ import annotations

import asyncio
from typing import Any

from walkie_signal.backends.machine.folder import GroupFolder, Office
from walkie_signal.backends.machine.keeper import Keeper
from walkie_signal.backends.machine.link import Link, NoLink, Taken
from walkie_signal.backends.shared import uplink
from walkie_signal.backends.shared.store import LostError
from walkie_signal.backends.shared.uplink import REPLY_TIMEOUT, Node
from walkie_signal.file_locks import Lock
from walkie_signal.runtime_folder import UnusableError

NONE = NoLink()

BEGINS = 0.02
"""Seconds between two tries to reach a keeper that has just begun its term and may not listen yet."""

OWN = b"n"
"""The channel of this node; those of rooms begin with another letter."""


def channel_of(room: str) -> bytes:
    """Return the channel of a room's changes."""
    return b"r" + room.encode()


class Uplink(uplink.Uplink):
    """The connection of one worker.

    Args:
        name: What the log calls the group.
        folder: The folder of the group.
        node: The worker's node.
    """

    first_delay = BEGINS  # whoever is first keeps the rooms, so nobody need wait for the others
    failures = (*uplink.Uplink.failures, UnusableError)

    def __init__(self, name: str, folder: GroupFolder, node: Node) -> None:
        super().__init__(name, node)
        self._folder = folder
        self._incarnation = node.incarnation
        self._node_hears = node.hear
        self._link: Link | NoLink = NONE
        self._lock: Lock | None = None
        self._keeper: Keeper | None = None
        self._found = (0, 0)
        self._term = 0
        self._silent = 0

    def keep(self, office: Office, first: str = "") -> None:
        """Keep the rooms from now on, for a term; see `Keeper`.

        Raises:
            OSError: No further file can be opened; the term has ended.
        """
        if self._keeper is not None:
            self._keeper.end()
            self._keeper = None
        try:
            self._keeper = Keeper(self._folder, office, first)
        except BaseException:
            office.resign()
            raise

    def let_others_in(self) -> None:
        """Record that this worker has written back its members."""
        if self._keeper is not None:
            self._keeper.open()

    # Its connection

    async def _open(self) -> None:
        self._folder.ensure()
        if self._lock is None or not self._lock.in_place:
            self._lock = self._folder.enter()
        self._lock.write(self._incarnation.id)
        try:
            link = self._link = await asyncio.wait_for(self._reached(), 2 * REPLY_TIMEOUT)
            self._watch()
            greeting = link.greet(self._incarnation.id, self._lock.path.name)
            self._found = await asyncio.wait_for(greeting, REPLY_TIMEOUT)
            self._silent = 0  # another term may get that number, when all workers have ended meanwhile
        except asyncio.TimeoutError:
            self._silent = self._term  # it holds its lock, and yet it does not answer
            raise

    def _where(self) -> str:
        return "; process {} keeps the rooms, workers here: {}".format(*self._found)

    async def _reached(self) -> Link:
        """Return a connection to the keeper of the last term; if that has none, or a silent one, begin the next."""
        while True:
            self._term = self._folder.latest()
            if self._term == self._silent or not self._folder.is_held(self._term):
                office = self._folder.begin(self._term + 1)
                if office is not None:
                    self._term = office.term
                    self.keep(office)
            link = Link(self._hear, self.lose, self._lifetime)
            try:
                await asyncio.get_running_loop().create_unix_connection(
                    lambda link=link: link,  # type: ignore[misc]
                    str(self._folder.socket_of(self._term)),
                )
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(BEGINS)
                continue
            return link

    def _abort(self) -> None:
        link, self._link = self._link, NONE
        link.abort()

    def _waiting_since(self) -> float | None:
        return self._link.waiting_since()

    @property
    def _connections(self) -> object:
        return self._link

    def look(self) -> None:
        """Look whether this is still the last term, and whether this worker's lock is in its place."""
        if not self._folder.goes_on(self._term) or self._lock is None or not self._lock.in_place:
            self.lose("the rooms have another keeper")

    async def close(self) -> None:
        """End the connection, and the term if this worker keeps it."""
        await super().close()
        if self._keeper is not None:
            keeper, self._keeper = self._keeper, None
            await asyncio.to_thread(keeper.end)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # What is asked, and heard

    def post(self, taken: Taken, verb: str, *arguments: Any) -> None:
        """Send a request; see `Link.post`."""
        self._link.post(taken, verb, *arguments)

    def ask(self, verb: str, *arguments: Any) -> asyncio.Future[Any]:
        """Send a request; returns a future for its answer.

        Raises (in the future):
            LostError: The connection ended before.
        """
        future = asyncio.get_running_loop().create_future()

        def taken(answer: Any) -> None:
            if future.done():
                return
            if isinstance(answer, LostError):
                future.set_exception(answer)
                future.exception()  # asyncio would complain if nobody looked at it
            else:
                future.set_result(answer)

        self.post(taken, verb, *arguments)
        return future

    def _hear(self, frame: list[Any]) -> None:
        kind = frame[0]
        if kind == "room":
            _, room, text = frame
            self._node_hears(channel_of(room), text.encode())
        elif kind == "node":
            self._node_hears(OWN, frame[1].encode())
