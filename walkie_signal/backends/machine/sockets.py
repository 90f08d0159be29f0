"""What a Unix socket says of itself, and of who is at its other end."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any


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
