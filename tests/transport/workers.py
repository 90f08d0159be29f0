"""Workers that hand requests over to one another: two servers of one process, one folder between them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.raw import Raw
from transport.serving import serving
from walkie_signal import runtime_folder
from walkie_signal.transport import create_server


class Either(Raw):
    """Sends each request to the next of several workers, as a port that they share may."""

    def __init__(self, http: httpx.AsyncClient, *urls: str) -> None:
        self._urls = cycle(urls)
        self.http = http

    @property
    def url(self) -> str:  # type: ignore[override]
        return next(self._urls)


class Workers:
    """Two workers; a session opened by `owner` is held by the first."""

    def __init__(self, sios: list[Any], owner: Raw, other: Raw) -> None:
        self.sio, self.other_sio = sios
        self.owner = owner
        self.other = other
        self.reasons: list[str] = []
        self.sio.on("disconnect", self._disconnect)

    async def _disconnect(self, sid: str, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def either(self) -> Either:
        return Either(self.owner.http, self.owner.url, self.other.url)

    def only_the_owner_holds_sessions(self) -> bool:
        return len(self.sio.eio.sockets) > 0 and not self.other_sio.eio.sockets


@asynccontextmanager
async def workers(**options: Any) -> AsyncIterator[Workers]:
    sios = [create_server(hand_over=True, **options) for _ in range(2)]
    for sio in sios:
        sio.on("echo", _echo)
    async with serving(sios[0]) as owner, serving(sios[1]) as other:
        yield Workers(sios, owner, other)
        for sio in sios:
            await sio.shutdown()


async def _echo(sid: str, *values: Any) -> Any:
    return values


@pytest.fixture(name="folder")
def temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the workers of a test a folder of their own; a Unix socket's path is too short for `tmp_path`."""
    parent = Path(tempfile.mkdtemp(prefix="ws-"))
    for name in runtime_folder.OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(parent))
    yield parent / f"walkie-signal-{os.geteuid()}"
    shutil.rmtree(parent)
