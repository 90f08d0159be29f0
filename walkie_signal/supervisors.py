"""Whose worker this process is: that of one of the supervisors that are known, or nobody's."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from walkie_signal import file_locks

WORKERS = ("uvicorn._subprocess", "hypercorn.asyncio.run", "granian.server.mp")
"""The modules with the functions that the supervisors let their child processes run."""

ARBITER = "gunicorn.arbiter"
"""The module in whose functions gunicorn's workers run, because they are forks of it."""


def key_of_this_worker() -> str | None:
    """Return what this process has in common with the other workers of its supervisor; ``None`` if it is no worker.

    Call it in the process that serves, on the stack of its server.
    """
    if not file_locks.AVAILABLE:
        return None
    supervisor = _supervisor()
    return None if supervisor is None else f"{_pid_namespace()} {supervisor} {_start_of(supervisor)}"


def _supervisor() -> int | None:
    """Return the process id of the supervisor of this worker; ``None`` if it is no worker."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        target = getattr(multiprocessing.current_process(), "_target", None)
        return parent.pid if getattr(target, "__module__", None) in WORKERS else None
    return os.getppid() if ARBITER in _modules_on_the_stack() else None


def _modules_on_the_stack() -> Iterator[str]:
    frame = sys._getframe()  # noqa: SLF001 - what `inspect.currentframe` returns, where there is one
    while frame.f_back is not None:
        frame = frame.f_back
        yield frame.f_globals.get("__name__", "")


def _pid_namespace() -> str:
    """Return what tells the process ids of one container from those of another; empty where nothing does."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it is no path
    return ""


def _start_of(process: int) -> str:
    """Return when a process was started, so that a later one with its id is another; empty where nothing says."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    return ""
