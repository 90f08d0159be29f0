"""The servers that are fuzzed, each a program of its own that tells what is inside it.

    python -m fuzz.server uvicorn        an app with `attach`, on uvicorn as it comes
    python -m fuzz.server serve          the command, with its WebSocket class for direct frames

GET /inside tells of all that an attack might leave behind, GET /memory how much there is of it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

import walkie_signal.asgi
from hostile.services import InProcess
from support.limits import arguments_of, unlimited
from walkie_signal import SignalingMiddleware
from walkie_signal.cli import main
from walkie_signal.cli.listeners import bind_address
from walkie_signal.cli.logs import set_up_logs

PING_INTERVAL, PING_TIMEOUT = 2.0, 2.0
"""Seconds; who polls and goes without a word is noticed by nothing else."""


class Inside(SignalingMiddleware):
    """`attach` with the two routes; some events of a host's are handled, too."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self._state = InProcess(self.sio, self.signaling).state
        for namespace in ("/", "/other"):
            self.sio.on("echo", self.echo, namespace=namespace)

    @staticmethod
    async def echo(_sid: str, *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return arguments

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        tell = {"/inside": self.inside, "/memory": self.memory}.get(scope.get("path", ""))
        if tell is None:
            await super().__call__(scope, receive, send)
            return
        body = json.dumps(tell()).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def inside(self) -> dict[str, Any]:
        engine, descriptors = self.sio.eio.census(), Path("/proc/self/fd")
        return {
            **self._state(),
            "outboxes": engine.waiting,
            "lingering": engine.lingering,
            "spawned": engine.tasks,
            "descriptors": len(list(descriptors.iterdir())) if descriptors.exists() else None,
        }

    @staticmethod
    def memory() -> dict[str, int]:
        gc.collect()
        return {"bytes": memory(), "blocks": sys.getallocatedblocks()}


def memory() -> int:
    """Return the bytes of memory that this process has filled itself, or all that are resident.

    In PSS, what it maps from files counts for more or less with each other Python that goes or comes.
    """
    shares = Path("/proc/self/smaps_rollup")
    if shares.exists():
        found = re.search(r"^Anonymous:\s+(\d+)", shares.read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return int(told.stdout) * 1024


def run_uvicorn() -> None:
    """Run as a host's app does."""
    set_up_logs("info", "json", several=False)
    settings = unlimited(ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT)
    with bind_address("127.0.0.1", 0) as listener:
        listener.listen(2048)
        config = uvicorn.Config(Inside(Starlette(), settings=settings), log_config=None)
        print("listening on http://{}:{}".format(*listener.getsockname()), flush=True)  # noqa: T201
        uvicorn.Server(config).run([listener])


def run_serve() -> None:
    """Run the command; all but the routes and the host's events is its own."""
    walkie_signal.asgi.attach = Inside
    given = arguments_of(unlimited(ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT))
    main(["serve", "--port", "0", "--log-format", "json", *given])


if __name__ == "__main__":
    {"uvicorn": run_uvicorn, "serve": run_serve}[sys.argv[1]]()
