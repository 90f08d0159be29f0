"""The keeper of a group's rooms for one term: it listens on a Unix socket, and takes one step after another.

It runs in a thread with an event loop of its own, because a host may block the loop of its process. It answers as
long as its term is the last one: it looks before it sends anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from typing import Any

from walkie_signal.backends.machine.book import Book
from walkie_signal.backends.machine.folder import GroupFolder, Office
from walkie_signal.backends.machine.frames import BrokenFrameError, Frames, pack
from walkie_signal.backends.shared.format import READS, WRITES
from walkie_signal.backends.shared.records import write_room_message
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.ledger import Published
from walkie_signal.forks import keep_from_forks
from walkie_signal.unix_sockets import fileno_of, is_ours

log = logging.getLogger("walkie_signal.machine")

GREETING = "walkie-signal"
"""The first word on each connection, followed by the format and by who speaks."""

OPENS = 1.0
"""Seconds after which others are let in even if the first worker has not written back its members: it hangs then,
and those that wait would begin the next term soon."""

MOST_UNSENT = 64 * 1024 * 1024
"""Bytes that may wait for a worker that does not read; it is cut off before it can fill the memory."""


class Keeper:
    """The keeper of one term.

    Args:
        folder: The folder of the group.
        office: The term, from which the keeper resigns at its end.
        first: The node that writes back its members before others are let in; empty if there is none.

    Attributes:
        connections: All of them, also those on which nobody has greeted yet.
        lines: Where it says whom it cuts off; its thread is the only one that may.
    """

    def __init__(self, folder: GroupFolder, office: Office, first: str = "") -> None:
        self._folder = folder
        self._office = office
        self._first = first
        self.lines = BoundedLog(log)
        self._early: list[Worker] = []
        self._locks = folder.workers()
        self._book = Book(f"{WRITES}:{secrets.token_hex(8)}", _now())
        self.connections: set[Worker] = set()
        self._workers: dict[str, Worker] = {}
        self._look_for_dead()
        self._followers: dict[str, dict[Worker, None]] = {}
        self._unsent: dict[Worker, list[bytes]] = {}
        self._ended = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="walkie-signal keeper", daemon=True)
        self._thread.start()

    # Its life

    def end(self) -> None:
        """End the term; called from another thread."""
        with suppress(RuntimeError):  # it has ended before
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.call_later(OPENS, self._open)
            self._loop.run_until_complete(self._serve())
        finally:
            self._office.resign()
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_unix_server(lambda: Worker(self), sock=self._office.listener)
        await self._ended.wait()
        server.close()
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)  # in which they let go of their sockets

    @property
    def in_office(self) -> bool:
        """Whether this is still the last term: whoever begins another one removes the file of this one's lock."""
        return self._office.lock.in_place

    def step_down(self) -> None:
        """Answer nobody any more."""
        log.info("this process does not keep the rooms of its group any more")
        self._ended.set()

    # Its workers

    def open(self) -> None:
        """Let everybody in; called from another thread."""
        with suppress(RuntimeError):  # it has ended before
            self._loop.call_soon_threadsafe(self._open)

    def _open(self) -> None:
        self._first = ""
        early, self._early = self._early, []
        for worker in early:
            self.greet(worker)
        self.flush()

    def greet(self, worker: Worker) -> None:
        """Take in a worker, or let it wait until the first one has written back its members."""
        node = worker.node
        if self._first not in ("", node):
            self._early.append(worker)
            return
        former = self._workers.pop(node, None)
        if former is not None:
            former.abort()
        self._workers[node] = worker
        self._locks[node] = worker.lock
        self.post(worker, pack(GREETING, WRITES, os.getpid(), len(self._workers)))

    def part(self, worker: Worker) -> None:
        """Let a worker go whose connection has ended."""
        self.connections.discard(worker)
        for room in list(worker.following):
            self._unfollow(worker, room)
        if worker in self._early:
            self._early.remove(worker)
        if self._workers.get(worker.node) is worker:
            del self._workers[worker.node]

    def _unfollow(self, worker: Worker, room: str) -> None:
        if room in worker.following:
            del worker.following[room], self._followers[room][worker]
            if not self._followers[room]:
                del self._followers[room]

    def _look_for_dead(self) -> None:
        for node, lock in self._locks.items():
            if node not in self._workers and self._folder.was_killed(lock):
                self._book.die(node, _now())

    # What it is asked

    def carry_out(self, worker: Worker, verb: str, arguments: list[Any]) -> Any:
        """Carry out a request, and publish what it changes; returns the answer.

        Raises:
            ValueError: It is no request, or it can't be carried out.
        """
        if verb == "follow":
            (room,) = arguments
            self._followers.setdefault(room, {})[worker] = None
            worker.following[room] = None
            return True
        if verb == "unfollow":
            (room,) = arguments
            self._unfollow(worker, room)
            return True
        if verb == "publish":
            node, text = arguments
            target = self._workers.get(node)
            if target is None:
                return 0
            self.post(target, pack("node", text))
            return 1
        if verb == "beat":
            self._look_for_dead()
            if not self._office.can_be_found:
                self.step_down()
        answer, published = self._book.carry_out(worker.node, verb, arguments, _now())
        if verb == "forget":
            lock = self._locks.pop(arguments[0], None)
            if lock is not None:
                self._folder.remove(lock)
        self._publish(published)
        return answer

    def _publish(self, published: list[Published]) -> None:
        for room, version, event in published:
            followers = self._followers.get(room)
            if followers:
                frame = pack("room", room, write_room_message(version, event))
                for each in followers:
                    self.post(each, frame)

    def post(self, worker: Worker, frame: bytes) -> None:
        """Send a worker a frame with the end of this batch of requests."""
        self._unsent.setdefault(worker, []).append(frame)

    def flush(self, asker: Worker | None = None) -> None:
        """End a batch of requests: send what has been posted meanwhile, with one write for each worker.

        Who has asked is the last: when its answer comes, the others have been sent what it has changed.
        """
        unsent, self._unsent = self._unsent, {}
        answered = unsent.pop(asker, None) if asker is not None else None
        for worker, frames in unsent.items():
            worker.write(b"".join(frames))
        if asker is not None and answered is not None:
            asker.write(b"".join(answered))


class Worker(asyncio.Protocol):
    """The connection of one worker.

    Attributes:
        node: The id of its node; empty until it has said it.
        lock: The name of its lock.
        following: The rooms whose changes it hears.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._frames = Frames()
        self._transport: Any = None
        self.node = self.lock = ""
        self.following: dict[str, None] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check who is there: only our own user may speak to a keeper."""
        self._transport = transport
        keep_from_forks(self)
        self._keeper.connections.add(self)
        if not is_ours(transport.get_extra_info("socket")):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Carry out a batch of requests."""
        if not self._keeper.in_office:
            self._keeper.step_down()
            return
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
        except (BrokenFrameError, TypeError, ValueError) as error:
            self._keeper.lines.write(
                logging.WARNING, "workers cut off", "a worker is cut off: %s", str(error)[:200]
            )
            self._transport.abort()
        self._keeper.flush(self)

    def _take(self, frame: list[Any]) -> None:
        if not self.node:
            self._greet(frame)
            return
        number, verb, *arguments = frame
        answer = self._keeper.carry_out(self, verb, arguments)
        if number:
            self._keeper.post(self, pack(number, answer))

    def _greet(self, frame: list[Any]) -> None:
        if len(frame) != 4 or frame[0] != GREETING or not all(isinstance(each, str) for each in frame):  # noqa: PLR2004
            raise ValueError("it does not greet as a worker does")
        _, release, node, lock = frame
        if release not in READS:
            raise ValueError(f"it speaks format {release[:20]!r}, of another release")
        self.node, self.lock = node, lock
        self._keeper.greet(self)

    def write(self, frames: bytes) -> None:
        """Send frames."""
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            message = "a worker that does not read is cut off"
            self._keeper.lines.write(logging.WARNING, "workers that do not read", message)
            self._transport.abort()
            return
        self._transport.write(frames)

    def fileno(self) -> int:
        """Return the number of the socket."""
        return fileno_of(self._transport)

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - as the base class
        """Let the worker go."""
        self._keeper.part(self)


def _now() -> int:
    return time.time_ns() // 1000
