"""How much memory a program has."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path


def memory_of(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    if sys.platform == "linux":
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    status = subprocess.run(["ps", "-o", "rss=", str(pid)], capture_output=True, check=True)
    return int(status.stdout) * 1024
