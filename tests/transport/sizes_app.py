"""Signaling as a host has it, and what the server's process has at the moment."""

from __future__ import annotations

import asyncio
import gc
import re
import resource
from contextlib import suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from walkie_signal import attach


def memory() -> dict[str, int]:
    """Return the bytes in memory now, and the most since the last time, or ever where the system tells no more."""
    status = Path("/proc/self/status")
    if not status.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"now": most, "most": most}
    now, most = (
        int(re.findall(rf"{name}:\s+(\d+) kB", status.read_text())[0]) for name in ("VmRSS", "VmHWM")
    )
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak begins anew
    return {"now": now * 1024, "most": most * 1024}


async def state(_request: Request) -> JSONResponse:
    gc.collect()
    tasks = sorted(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
    return JSONResponse({"tasks": tasks, "sockets": len(app.sio.eio.sockets), **memory()})


app = attach(Starlette(routes=[Route("/state", state)]))
