"""Unix sockets by which the processes of one machine speak: how to listen, and who is at the other end."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from walkie_signal.forks import keep_from_forks

PATH_BYTES = 100
"""Most bytes of a Unix socket's path; Linux takes 107, macOS 103."""

BACKLOG = 512

SETTLED = 10.0
"""Seconds after which a socket that refuses connections counts as left behind; a new one may not listen yet."""


def listener_at(path: Path) -> socket.socket:
    """Return a Unix socket that listens on a path.

    Raises:
        OSError: The socket can't be made.
    """
    made = socket.socket(socket.AF_UNIX)
    try:
        made.setblocking(False)  # noqa: FBT003 - the standard library's
        made.bind(str(path))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    keep_from_forks(made)
    return made


def remove_left_folders(where: Path, pattern: str) -> None:
    """Remove the folders that nobody listens in any more; a new one may be about to be used."""
    for path in where.glob(pattern):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > SETTLED:
                remove_left(path, "*.sock")
                path.rmdir()


def remove_left(where: Path, pattern: str) -> None:
    """Remove the sockets that killed processes have left behind in a folder."""
    for path in where.glob(pattern):
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


def fileno_of(transport: Any) -> int:
    """Return the number of a transport's socket; below 0 if it has none any more."""
    connected = None if transport is None else transport.get_extra_info("socket")
    return -1 if connected is None else int(connected.fileno())


def is_ours(connected: socket.socket) -> bool:
    """Tell whether the process at the other end of a Unix socket belongs to our user; where nothing says, it does.

    Only our user may enter the folder of the socket, so this is a second door behind the first.
    """
    if sys.platform == "linux":
        _, uid, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    elif sys.platform == "darwin":
        _, uid = struct.unpack("2I", connected.getsockopt(0, 1, 8))  # SOL_LOCAL, LOCAL_PEERCRED
    else:
        return True
    return bool(uid == os.geteuid())
