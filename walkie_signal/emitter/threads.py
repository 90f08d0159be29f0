"""An emitter in a thread of its own, begun by the first call of a process."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from walkie_signal.emitter.awaited import AsyncEmitter
from walkie_signal.forks import begin_anew_in_forks

Result = TypeVar("Result")

Ask = Callable[[AsyncEmitter], Coroutine[Any, Any, Result]]
"""Asks an emitter for something."""


class InThread:
    """An emitter that any thread may ask, also in a fork, and that is started when it is asked.

    Args:
        make: Makes an emitter; it raises here, and not in the first call.
    """

    def __init__(self, make: Callable[[], AsyncEmitter]) -> None:
        make()
        self._make = make
        self.begin_anew()
        begin_anew_in_forks(self)

    def begin_anew(self) -> None:
        """Begin with nothing of another process: its threads may have held the lock, and none of them is here."""
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def run(self, ask: Ask[Result]) -> Result:
        """Ask the emitter, and wait for the answer; those that ask meanwhile wait until it is started."""
        with self._lock:
            if self._running is None:
                self._running = _Running(self._make())
                atexit.register(self.close)
            running = self._running
            running.begin_call()
        try:
            return running.ask(ask)
        finally:
            running.end_call()

    def close(self) -> None:
        """Close the emitter after the calls under way; a later call starts another one."""
        with self._lock:
            running, self._running = self._running, None
            atexit.unregister(self.close)
        if running is not None:
            running.end()


class _Running:
    """An emitter that runs in a thread of its own."""

    def __init__(self, emitter: AsyncEmitter) -> None:
        self._emitter = emitter
        self._calls = 0
        self._call_ended = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="walkie-signal emitter", daemon=True
        )
        self._thread.start()
        try:
            self.ask(AsyncEmitter.start)
        except BaseException:
            self.end()
            raise

    def begin_call(self) -> None:
        """Record that a thread is about to ask."""
        with self._call_ended:
            self._calls += 1

    def end_call(self) -> None:
        """Record that it has its answer."""
        with self._call_ended:
            self._calls -= 1
            self._call_ended.notify_all()

    def ask(self, ask: Ask[Result]) -> Result:
        """Ask the emitter, and wait for the answer."""
        return asyncio.run_coroutine_threadsafe(ask(self._emitter), self._loop).result()

    def end(self) -> None:
        """Close the emitter, and end the thread; nobody would answer a call that is under way."""
        with self._call_ended:
            self._call_ended.wait_for(lambda: not self._calls)
        try:
            self.ask(AsyncEmitter.close)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
