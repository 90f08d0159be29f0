"""What the transport needs of the libraries beneath, and what happens where it is not there."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import socketio

from walkie_signal.transport import beneath, create_server
from walkie_signal.transport.socketio.server import Server


def test_the_installed_libraries_are_as_expected() -> None:
    assert beneath.missing() == []
    assert isinstance(create_server(), Server)


@pytest.mark.promise(
    "The transport", "With libraries of an unknown version there is a stock server, and a warning"
)
def test_a_server_of_a_stranger_version_is_a_stock_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An upgrade beneath us must not stop a host."""

    async def renamed(self: Any, eio_sid: str, packet: Any) -> None:
        pass

    monkeypatch.setattr(socketio.AsyncServer, "_send_packet", renamed)
    monkeypatch.delattr(socketio.AsyncManager, "pre_connect")
    monkeypatch.delattr(socketio.base_manager.BaseManager, "pre_connect")
    sio = create_server(outbox_bytes=1, connect_timeout=1, cors_allowed_origins="*")
    assert type(sio) is socketio.AsyncServer
    (line,) = [record for record in caplog.records if record.name == "walkie_signal.transport"]
    assert line.levelno == logging.WARNING
    assert "AsyncServer._send_packet" in line.getMessage()
    assert "AsyncManager.pre_connect" in line.getMessage()


def test_another_async_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="ASGI"):
        create_server(async_mode="aiohttp")
