"""Which processes run: read from /proc on Linux, and from ps elsewhere."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
LISTED = PROC / "thread-self/children"
"""Where Linux lists them (CONFIG_PROC_CHILDREN), so that a look after each test need not read all of /proc."""

LOOKS = 5
"""How often an environment is read that is empty: it is for a moment, while a process becomes another program."""


class Entry(NamedTuple):
    """A process; a zombie, which has ended but has not been waited for, does not count."""

    pid: int
    parent: int
    command: str


def children() -> dict[int, str]:
    """Return the running children of this process, each with its command; quickly, where Linux lists them."""
    if not LISTED.exists():
        return children_of(os.getpid())
    found = []
    for thread in (PROC / "self/task").iterdir():
        with suppress(OSError):  # the thread may end while we look at it
            found += (thread / "children").read_text().split()
    return {entry.pid: entry.command for pid in found for entry in _of_folder(PROC / pid)}


def children_of(pid: int) -> dict[int, str]:
    """Return the running children of a process, each with its command."""
    return {entry.pid: entry.command for entry in table() if entry.parent == pid}


def table() -> Iterator[Entry]:
    """Yield every process that runs."""
    return _of_proc() if (PROC / "self").exists() else _of_ps()


def with_environment(name: str, value: str) -> dict[int, str]:
    """Return the other processes that were started with a variable, each with its command and its test.

    This only works on Linux; elsewhere it returns none.
    """
    found, unread = {}, [entry for entry in _of_proc() if entry.pid != os.getpid()]
    for _ in range(LOOKS):
        read = {entry: _environment(entry.pid) for entry in unread}
        for entry, variables in read.items():
            if f"{name}={value}" in variables:
                test = next((each for each in variables if each.startswith("PYTEST_CURRENT_TEST=")), "")
                found[entry.pid] = f"{entry.command} {test}"
        unread = [entry for entry, variables in read.items() if not variables]
        time.sleep(0.002)
    return found


def _environment(pid: int) -> list[str]:
    """Read the variables that a process was started with; none, if they may not be read."""
    with suppress(OSError):
        return (PROC / str(pid) / "environ").read_text(errors="replace").split("\0")[:-1]
    return []


def _of_proc() -> Iterator[Entry]:
    for folder in PROC.glob("[0-9]*"):
        yield from _of_folder(folder)


def _of_folder(folder: Path) -> Iterator[Entry]:
    """Yield the process of a folder in /proc, if it runs."""
    with suppress(OSError):  # it may end while we look at it
        # proc(5): pid (name) state ppid …; the name may contain blanks and brackets
        state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        if state != "Z":
            command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
            yield Entry(int(folder.name), int(parent), f"{folder.name}: {command}")


def _of_ps() -> Iterator[Entry]:
    listed = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,stat=,command="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, parent, state, command = line.split(maxsplit=3)
        if not state.startswith("Z") and not command.startswith("ps -axo"):
            yield Entry(int(pid), int(parent), f"{pid}: {command}")
