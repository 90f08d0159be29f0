"""What holds for each test of the transport."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from transport.hosts import client, host, lines  # noqa: F401 - fixtures
from transport.http_app import app, protocol  # noqa: F401 - fixtures
from transport.official_servers import (  # noqa: F401
    engineio_client,
    http,
    official_server,
    socketio_client,
)


@pytest.fixture(autouse=True)
def _the_asgi_server_has_no_complaint() -> Iterator[None]:
    """Fail where uvicorn logged an error: an exception of ours, or an ASGI message out of turn."""
    complaints: list[str] = []

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(logging.Formatter().format(record))

    handler = Complaints(logging.ERROR)
    logging.getLogger("uvicorn.error").addHandler(handler)
    yield
    logging.getLogger("uvicorn.error").removeHandler(handler)
    assert complaints == []
