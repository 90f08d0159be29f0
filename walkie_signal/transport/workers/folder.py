"""The Unix sockets by which the worker processes of a machine find one another, each named by its worker's tag."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from walkie_signal import runtime_folder
from walkie_signal.runtime_folder import UnusableError
from walkie_signal.unix_sockets import PATH_BYTES, listener_at, remove_left

NAME_BYTES = len("/12345678.sock")


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
    try:
        return listener_at(path)
    except OSError as error:
        raise UnusableError(f"{path}: {error.strerror or error}") from None


def remove(path: Path, process: int) -> None:
    """Remove the socket of a process, unless this is another process, such as a fork of it."""
    if os.getpid() == process:
        with suppress(OSError):
            path.unlink()


def remove_stale(where: Path) -> None:
    """Remove the sockets that killed workers have left behind."""
    remove_left(where, "????????.sock")
