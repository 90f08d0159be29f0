"""A pytest plugin: what a run has started does not outlive it, even if the run is cut off by any signal.

Beside each process of pytest there is a watchdog, which learns by a pipe what was started and what has ended. When
the pipe ends, pytest is gone, in whatever way, and the watchdog kills what is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

WATCHDOG = """
import os, signal, sys
running = set()
for line in sys.stdin:
    (running.add if line[0] == "+" else running.discard)(int(line[1:]))
for each in running:
    try:
        os.kill(each, signal.SIGKILL)
    except OSError:
        pass
"""

_watchdog = pytest.StashKey["subprocess.Popen[str]"]()
_pipes: list[int] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start it before any test does, in a session of its own: Ctrl-C reaches the whole group of pytest's."""
    # Without the mark in the environment by which `leaks` finds what outlives the run
    config.stash[_watchdog] = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WATCHDOG],
        stdin=subprocess.PIPE,
        env={},
        text=True,
        start_new_session=True,
    )
    pipe = config.stash[_watchdog].stdin
    assert pipe is not None
    _pipes.append(pipe.fileno())


def pytest_unconfigure(config: pytest.Config) -> None:
    _pipes.clear()
    config.stash[_watchdog].communicate()


@contextmanager
def watched(pid: int, *, group: bool = False) -> Iterator[None]:
    """Let the watchdog end a process, or the group that it leads, should this one end before the context does."""
    number = -pid if group else pid
    _tell(f"+{number}\n")
    try:
        yield
    finally:
        _tell(f"-{number}\n")


def _tell(line: str) -> None:
    for pipe in _pipes:
        with suppress(OSError):  # somebody has killed it
            os.write(pipe, line.encode())
