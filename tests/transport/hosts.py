"""A server with a host's handlers, and the lines that it logs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.raw import Raw
from transport.serving import left, serving
from walkie_signal.transport import create_server


class Host:
    """A server with a host's handlers, and what they were called with."""

    def __init__(self) -> None:
        self.sio = create_server(cors_allowed_origins="*", max_http_buffer_size=100_000)
        self.calls: list[tuple[str, Any]] = []
        self.sio.on("connect", self.connect)
        self.sio.on("disconnect", self.disconnect)
        self.sio.on("*", self.anything)
        self.sio.on("connect", self.connect, namespace="/other")
        self.sio.on("*", self.anything, namespace="/other")

    async def connect(self, sid: str, environ: Any, auth: Any) -> None:
        self.calls.append(("connect", auth))

    async def disconnect(self, sid: str, reason: str) -> None:
        self.calls.append(("disconnect", reason))

    async def anything(self, event: str, sid: str, *arguments: Any) -> Any:
        self.calls.append((event, arguments))
        return arguments

    def left(self) -> list[Any]:
        """List what is left of connections, in every table that there is."""
        return left(self.sio)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def client(host: Host) -> AsyncIterator[Raw]:
    async with serving(host.sio) as client:
        yield client


class OwnLines(logging.Handler):
    """Everything that is logged from WARNING on, by anybody."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def lines() -> Any:
    handler = OwnLines()
    logging.getLogger().addHandler(handler)
    yield handler.records
    logging.getLogger().removeHandler(handler)


def check_one_line(lines: list[logging.LogRecord], *secrets: str) -> None:
    told = [(record.name, record.levelname, record.getMessage()) for record in lines]
    assert [line[:2] for line in told] == [("walkie_signal.transport", "WARNING")], told
    assert lines[0].exc_info is None
    assert not any(secret in told[0][2] for secret in secrets), told
