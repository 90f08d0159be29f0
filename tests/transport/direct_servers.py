"""uvicorn as a program, on its own WebSocket class and on ours."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import SCRIPTS
from support.watchdog import watched

TESTS = Path(__file__).parents[1]
OURS = "walkie_signal.direct:DirectProtocol"
THEIRS = "websockets-sansio"


@dataclass
class Served:
    """A uvicorn that listens; `output` is all that it has written."""

    process: subprocess.Popen[str]
    address: tuple[str, int] = ("127.0.0.1", 0)
    output: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    def read(self, started: threading.Event) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if "Uvicorn running on" in line:
                port = re.search(r":(\d+)", line)
                self.address = ("127.0.0.1", int(port[1]) if port else 0)
                started.set()


@contextmanager
def served(ws: str, loop: str, *options: str, app: str = "transport.direct_app:app") -> Iterator[Served]:
    """Run `app` on uvicorn with that WebSocket class and that event loop."""
    command = [
        SCRIPTS / "uvicorn", app, "--app-dir", TESTS, "--ws", ws, "--loop", loop, "--port", "0",
        "--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "5", *options,
    ]  # fmt: skip
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server, started = Served(process), threading.Event()
    reader = threading.Thread(target=server.read, args=[started])
    reader.start()
    try:
        with watched(process.pid):
            assert started.wait(30), f"no start within 30 s: {server.output}"
            yield server
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
