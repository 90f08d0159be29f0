"""Both WebSocket classes of uvicorn that the transport runs on, for a test that asks for them."""

from __future__ import annotations

import pytest

from support import servers
from walkie_signal.direct.protocol import DirectProtocol


@pytest.fixture(params=["auto", DirectProtocol], ids=["plain", "direct"])
def _each_websocket_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test on plain uvicorn, and on the WebSocket class of ``walkie-signal serve``."""
    monkeypatch.setattr(servers, "WEBSOCKET_CLASS", request.param)
