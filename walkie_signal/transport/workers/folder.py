"""The Unix sockets by which the worker processes of a machine find one another, each named by its worker's tag."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from walkie_signal import runtime_folder
from walkie_signal.runtime_folder import UnusableError

PATH_BYTES = 100
"""Most bytes of a Unix socket's path; Linux takes 107, macOS 103."""

NAME_BYTES = len("/12345678.sock")

SETTLED = 10.0
"""Seconds after which a socket that refuses connections counts as left behind; a new one may not listen yet."""

BACKLOG = 512


def find() -> Path:
    """Return the folder of the sockets, and make it if there is none.

    Raises:
        UnusableError: Others have access to it, it can't be made, or its path is too long.
    """
    path = runtime_folder.folder()
    if len(os.fsencode(path)) + NAME_BYTES > PATH_BYTES:
        raise UnusableError(f"{path} is too long for a Unix socket in it; set TMPDIR to a shorter path")
    return path


def socket_path(where: Path, tag: str) -> Path:
    """Return the path where the worker with a tag listens."""
    return where / f"{tag}.sock"


def listener(path: Path) -> socket.socket:
    """Return a Unix socket that listens on a path.

    Raises:
        UnusableError: The socket can't be made.
    """
    made = socket.socket(socket.AF_UNIX)
    try:
        made.setblocking(False)  # noqa: FBT003 - the standard library's
        made.bind(str(path))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise UnusableError(f"{path}: {error.strerror or error}") from None
    return made


def remove(path: Path, process: int) -> None:
    """Remove the socket of a process, unless this is another process, such as a fork of it."""
    if os.getpid() == process:
        with suppress(OSError):
            path.unlink()


def remove_stale(where: Path) -> None:
    """Remove the sockets that killed workers have left behind."""
    for path in where.glob("*.sock"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > SETTLED and _refuses(path):
                path.unlink()


def _refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # noqa: FBT003 - as above
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # its backlog is full, so it is alive
            return False
    return False
