"""Several processes that serve one port: the parent starts them, replaces those that die, and ends them.

uvicorn's own supervisor starts an app by its name, and differs from version to version. If the supervisor is
killed, its workers outlive it.

Parent and worker share a pipe. The worker says on it that it listens, and every second that its event loop runs. A
worker that is silent for long is killed. When the pipe ends, the parent is gone, and the worker ends too.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from walkie_signal.cli.logs import set_up_logs
from walkie_signal.cli.serving import BEAT, POLL_TIMEOUT, SHUTDOWN_TIMEOUT, ending_signals, run
from walkie_signal.settings import ServeOptions, Settings

log = logging.getLogger("walkie_signal")

END_TIMEOUT = POLL_TIMEOUT + SHUTDOWN_TIMEOUT + 5
"""Seconds that a worker has to end before it is killed: the time for its connections, and some for the rest."""

RESTART_DELAY = 1.0
"""Least seconds between two starts of the same worker, so that one that always fails costs little."""

SILENCE = 20
"""Checks, one a second, of a silent worker before it is killed; for the other nodes it is long dead by then."""


class Worker:
    """One of the processes.

    Attributes:
        process: The process.
        pipe: The parent's end of the pipe.
        begun: When the process was started, on the monotonic clock.
        listens: Whether it has said that it listens.
        silence: How many checks in a row have found it silent.
    """

    def __init__(
        self, options: ServeOptions, settings: Settings, listener: socket.socket, group: str
    ) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads might not start
        self.pipe, theirs = spawn.Pipe()
        given = (options, settings, listener, group, theirs)
        self.process: BaseProcess = spawn.Process(target=_work, args=given)
        resource_tracker.ensure_running()  # its start unblocks signals, so it comes first
        # No signal may end the worker with a traceback while it is importing
        signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
        self.process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())
        theirs.close()
        self.begun = time.monotonic()
        self.listens = False
        self.silence = 0

    def hear(self) -> str | None:
        """Return the worker's description of itself, if it has just said that it listens."""
        said = None
        with suppress(EOFError, OSError):  # the worker has ended
            while self.pipe.poll():
                word: str = self.pipe.recv()
                self.silence = 0
                said = word or said
        self.listens = self.listens or said is not None
        return said

    def look(self) -> None:
        """Kill the process if it hangs. This counts checks, not seconds: the whole machine may have stood still."""
        self.silence += 1
        if self.silence == SILENCE:
            log.error("worker %s has been silent for %.0f s: killed", self.process.pid, SILENCE * BEAT)
            self.process.kill()

    def end(self, deadline: float) -> None:
        """Wait until the process has ended; kill it at the deadline."""
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.is_alive():
            log.warning("worker %s did not end in time: killed", self.process.pid)
            self.process.kill()
            self.process.join()
        self.pipe.close()


class Workers:
    """The parent of all workers.

    Args:
        options: The options of the command.
        settings: The settings of signaling.
        listener: The bound socket; all workers accept connections from it.
    """

    def __init__(self, options: ServeOptions, settings: Settings, listener: socket.socket) -> None:
        self._given = (options, settings, listener, f"serve {secrets.token_hex(16)}")
        self._listener = listener
        self._number = options.workers
        self._workers: list[Worker] = []
        self._ending = False
        self._looked = time.monotonic()
        self._woken, self._wake = os.pipe()

    def run(self, url: str, version: str) -> bool:
        """Run until one of `ending_signals`; returns false if one of the first workers could not start."""
        for number in ending_signals():
            signal.signal(number, self._told_to_end)
        self._workers = [Worker(*self._given) for _ in range(self._number)]
        announced = False
        while not self._ending:
            self._wait()
            said = [word for worker in self._workers if (word := worker.hear())]
            if not announced and all(worker.listens for worker in self._workers):
                announced = True
                log.info(
                    "walkie-signal %s listening on %s (%s; %d workers)", version, url, said[-1], self._number
                )
            if not self._replace_the_dead(announced):
                break
        self._end()
        return self._ending

    def _told_to_end(self, *_: object) -> None:
        self._ending = True
        os.write(self._wake, b"x")

    def _wait(self) -> None:
        """Wait until a worker says something or ends, a signal comes, or it is time to check for silent workers."""
        waiting: list[Connection | int] = [worker.process.sentinel for worker in self._workers]
        waiting += [worker.pipe for worker in self._workers]
        wait([self._woken, *waiting], timeout=BEAT)
        if time.monotonic() - self._looked >= BEAT:
            self._looked = time.monotonic()
            for worker in self._workers:
                worker.look()

    def _replace_the_dead(self, announced: bool) -> bool:  # noqa: FBT001 - its only call passes `announced`
        """Replace the workers that have ended; returns false if one ended before all had begun."""
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive() or self._ending:
                continue
            log.error("worker %s has ended with %s", worker.process.pid, _how(worker.process.exitcode or 0))
            if not announced:
                return False
            worker.pipe.close()
            time.sleep(max(0.0, worker.begun + RESTART_DELAY - time.monotonic()))
            self._workers[place] = Worker(*self._given)
        return True

    def _end(self) -> None:
        self._listener.close()  # new connections are refused at once
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + END_TIMEOUT
        for worker in self._workers:
            worker.end(deadline)


def _work(
    options: ServeOptions, settings: Settings, listener: socket.socket, group: str, pipe: Connection
) -> None:
    """Run a worker, in its own process."""
    for number in ending_signals():
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())
    set_up_logs(options.log_level, options.log_format, several=True)
    os.set_blocking(pipe.fileno(), False)
    threading.Thread(target=_end_with_the_parent, args=(pipe,), daemon=True).start()

    def say(word: str) -> None:
        with suppress(OSError):  # the parent is gone, or it has read nothing for a long time
            pipe.send(word)

    run(options, settings, listener, say, lambda: say(""), workers=group)


def _end_with_the_parent(pipe: Connection) -> None:
    wait([pipe])  # the parent never writes, so this waits for its end
    log.error("the parent process is gone: this worker ends")
    os.kill(os.getpid(), signal.SIGTERM)


def _how(exit_code: int) -> str:
    return f"status {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name
