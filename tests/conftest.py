"""Settings for all tests of this project."""

from __future__ import annotations

import sys

import pytest

pytest_plugins = [
    "support.leaks",
    "support.skips",
    "support.cpu",
    "support.measured",
    "support.alone",
    "support.news",
    "support.watchdog",
    "support.websocket_classes",
]


def pytest_configure(config: pytest.Config) -> None:
    """Distinguish pytest-xdist's workers: with the same command, they would look like one server's workers."""
    if hasattr(config, "workerinput"):
        sys.argv.append(config.workerinput["workerid"])
