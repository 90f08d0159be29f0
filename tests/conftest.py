"""Settings for all tests of this project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
    """Let the programs that tests start find the installed package, and keep pytest-xdist's workers apart."""
    # Python and uvicorn put the working directory first on the path, and the checkout has the package too
    os.chdir(Path(__file__).parent)
    # With the same command, they would look like one server's workers
    if hasattr(config, "workerinput"):
        sys.argv.append(config.workerinput["workerid"])
