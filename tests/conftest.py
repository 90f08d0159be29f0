"""What holds for each test of this project."""

from __future__ import annotations

pytest_plugins = [
    "support.leaks",
    "support.skips",
    "support.cpu",
    "support.alone",
    "support.websocket_classes",
]
