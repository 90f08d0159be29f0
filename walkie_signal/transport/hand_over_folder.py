"""The folder in which the worker processes of a machine find one another: a Unix socket for each, named by its tag.

Who can write in it can read and answer other people's requests, so it has to be ours alone.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PATH_BYTES = 100
"""Bytes of a Unix socket's path: Linux takes 107, macOS 103."""

NAME_BYTES = len("/12345678.sock")

SETTLED = 10.0
"""Seconds after which a socket that can't be connected to is taken to be nobody's: a new one may not listen yet."""

BACKLOG = 512


class Unusable(Exception):  # noqa: N818 - the service goes on without it
    """The folder can't be used; the text says why."""


def folder() -> Path:
    """Return the folder, made where there is none.

    Raises:
        Unusable: It is not ours alone, can't be made, or its path is too long.
    """
    if not hasattr(os, "geteuid"):
        raise Unusable("this system has no Unix sockets")
    owner = os.geteuid()
    path = Path(tempfile.gettempdir()) / f"walkie-signal-{owner}"
    if len(os.fsencode(path)) + NAME_BYTES > PATH_BYTES:
        raise Unusable(f"{path} is too long for a Unix socket in it; set TMPDIR to a shorter path")
    try:
        with suppress(FileExistsError):
            path.mkdir(0o700)
        found = path.lstat()
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(f"{path} is no folder")
    if found.st_uid != owner:
        raise Unusable(f"{path} belongs to somebody else")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Unusable(f"{path} is open to others; its mode has to be 0700")
    return path


def socket_path(where: Path, tag: str) -> Path:
    """Return where the worker of that tag listens."""
    return where / f"{tag}.sock"


def listener(path: Path) -> socket.socket:
    """Return a Unix socket that listens there.

    Raises:
        Unusable: It can't be made.
    """
    made = socket.socket(socket.AF_UNIX)
    try:
        made.setblocking(False)  # noqa: FBT003 - the standard library's
        made.bind(str(path))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise Unusable(f"{path}: {error.strerror or error}") from None
    return made


def remove(path: Path, process: int) -> None:
    """Remove the socket of a process, unless this is another: a fork of it."""
    if os.getpid() == process:
        with suppress(OSError):
            path.unlink()


def remove_stale(where: Path) -> None:
    """Remove the sockets that workers have left behind which were killed."""
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
        except OSError:  # it has more to do than it can take: it is alive
            return False
    return False
