"""The servers that are attacked, with what can be seen of their log and of their inside."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import pytest
import socketio
from starlette.applications import Starlette

from support.leaks import TOLERATED_TASKS
from support.limits import arguments_of
from support.nodes import on_the_clock
from support.peers import raw_peer
from support.processes import Program
from support.servers import hosted, serve
from support.waiting import becomes
from walkie_signal import Settings, SignalingNamespace, attach
from walkie_signal.backends.machine.backend import MachineBackend
from walkie_signal.direct.protocol import DirectProtocol

Kind = Literal["attach", "direct", "serve", "stock"]
"""`attach` on plain uvicorn, and on its WebSocket class for direct frames; the command; a host's stock server."""

OURS = pytest.mark.parametrize("kind", ["attach", "direct", "serve"])
EVERYWHERE = pytest.mark.parametrize("kind", ["attach", "direct", "serve", "stock"])
IN_PROCESS = pytest.mark.parametrize("kind", ["attach", "direct", "stock"])
ATTACHED = pytest.mark.parametrize("kind", ["attach", "direct"])

ROOM = "gate"
OWN_FAULT = "raised by the test"
END = re.compile(r": (draining|closed|ended): ")
CLIENT_LOGGERS = ("httpx", "httpcore", "websockets.")
SERVER = {"ws_ping_interval": None, "ws_per_message_deflate": False, "ws_max_size": 1_000_000}


@dataclass(frozen=True)
class Line:
    """A line of the server's log, its traceback apart."""

    text: str
    traceback: str = ""


class Service(ABC):
    """A server under attack.

    Attributes:
        url: Where it is.
        sio: The server, where it runs in this process.
        signaling: The namespace, where it runs in this process.
    """

    url: str
    sio: Any = None
    signaling: Any = None

    @abstractmethod
    def logged(self) -> list[Line]:
        """Return what was logged since it was ready, from INFO on."""

    def lines(self) -> list[Line]:
        """Return what was logged since it was ready, the news of its end apart."""
        return [line for line in self.logged() if not END.search(line.text)]

    def faults(self) -> list[Line]:
        """Return the lines with a traceback, but for those of a fault that the test's own functions raise."""
        return [line for line in self.lines() if line.traceback and OWN_FAULT not in line.traceback]

    def state(self) -> Any:
        """Return whatever an attack might leave behind, as far as can be seen."""
        return None


class Command(Service):
    """``walkie-signal serve``; its log can be read, its inside can't."""

    def __init__(self, url: str, program: Program) -> None:
        self.url = url
        self.program = program
        self._ready = len(program.output)

    def logged(self) -> list[Line]:
        logged = self.program.output[self._ready :].splitlines(keepends=True)
        return [_line_of(text) for text in logged if text.endswith("\n")]


def _line_of(text: str) -> Line:
    try:
        record = json.loads(text)
        return Line(f"{record['level']} {record['logger']}: {record['message']}", record.get("exception", ""))
    except ValueError:
        return Line("not a line of the log", text)


def rooms_in_memory(backend: Any) -> dict[str, Any]:
    """Return the rooms that a process keeps alone."""
    memory = backend._memory if isinstance(backend, MachineBackend) else backend
    return cast("dict[str, Any]", memory._ledger._rooms)


class InProcess(Service, logging.Handler):
    """A server in this event loop."""

    def __init__(self, sio: Any, signaling: SignalingNamespace) -> None:
        logging.Handler.__init__(self, logging.INFO)
        self.sio = sio
        self.signaling = signaling
        self._lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(CLIENT_LOGGERS):
            traceback = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            text = f"{record.levelname} {record.name}: {record.getMessage()}"
            self._lines.append(Line(text, traceback))

    def logged(self) -> list[Line]:
        return list(self._lines)

    def state(self) -> Any:
        node, manager = self.signaling._node, self.sio.manager
        coroutines = (getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
        return {
            "node": asdict(node.census()),
            "sids": sorted(self.signaling._adapter._peers),
            "backend": {name: len(room.entries) for name, room in rooms_in_memory(node.backend).items()},
            "early": [*on_the_clock(node, "early")],
            "rooms": {name: len(rooms) for name, rooms in manager.rooms.items()},
            "pending": [
                {namespace: sorted(sids) for namespace, sids in pending.items()}
                for pending in (manager.pending_connect, manager.pending_disconnect)
            ],
            "callbacks": sorted(manager.callbacks),
            "binary": sorted(self.sio._binary_packet),
            "environ": sorted(self.sio.environ),
            "sockets": sorted(self.sio.eio.sockets),
            "tasks": Counter(name for name in coroutines if name not in TOLERATED_TASKS),
        }

    def faults(self) -> list[Line]:
        # The host's uvicorn has its own way to log text that is not UTF-8
        return [line for line in super().faults() if "Invalid UTF-8" not in line.text]

    def logging(self) -> Any:
        """Take note of what is logged while the context lasts."""
        return _logging(self)


@asynccontextmanager
async def _logging(handler: logging.Handler) -> AsyncIterator[None]:
    levels = {"": logging.INFO, "uvicorn": logging.WARNING, "uvicorn.error": logging.WARNING}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


async def _has_let_go(running: InProcess) -> None:
    """Wait for those who have just gone: a stock server that is closed meanwhile leaves tasks behind."""
    with suppress(AssertionError):  # some stay to the end
        await becomes(lambda: [*running.sio.eio.sockets], [], within=2)


@asynccontextmanager
async def service(
    kind: Kind,
    *arguments: str,
    settings: Settings | None = None,
    wrap: Callable[[Any], Any] | None = None,
    **options: Any,
) -> AsyncIterator[Any]:
    """Run a server, `wrap` around it; `arguments` are the command's, the rest the namespace's."""
    async with AsyncExitStack() as stack:
        if kind == "serve":
            given = arguments_of(settings) if settings is not None else []
            serving = await stack.enter_async_context(serve("--log-format", "json", *given, *arguments))
            yield (command := Command(serving.url, serving.program))
            serving.program.send_signal(signal.SIGTERM)
            assert await serving.program.wait() == 0, serving.program.output
            assert not command.faults(), command.program.output
            return
        if kind != "stock":
            app: Any = attach(Starlette(), settings=settings, **options)
            running = InProcess(app.sio, app.signaling)
        else:
            times = settings or Settings()
            sio = socketio.AsyncServer(
                async_mode="asgi",
                cors_allowed_origins="*",
                ping_interval=times.ping_interval,
                ping_timeout=times.ping_timeout,
            )
            sio.register_namespace(signaling := SignalingNamespace(settings=settings, **options))
            app, running = socketio.ASGIApp(sio), InProcess(sio, signaling)
        await stack.enter_async_context(running.logging())
        running.url = await stack.enter_async_context(
            hosted(wrap(app) if wrap else app, ws=DirectProtocol if kind == "direct" else "auto", **SERVER)
        )
        stack.push_async_callback(running.signaling.close)
        if kind == "stock":
            stack.push_async_callback(_has_let_go, running)
        async with raw_peer(running.url):
            pass  # the first connection starts what runs in the background
        await becomes(lambda: [*running.sio.eio.sockets], [])
        yield running
