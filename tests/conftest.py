"""What holds for each test of this project."""

from __future__ import annotations

import sys

import pytest

pytest_plugins = [
    "support.leaks",
    "support.skips",
    "support.cpu",
    "support.alone",
    "support.websocket_classes",
]


def pytest_configure(config: pytest.Config) -> None:
    """Tell the workers of pytest-xdist apart: of one command they would look like workers of one server."""
    if hasattr(config, "workerinput"):
        sys.argv.append(config.workerinput["workerid"])
