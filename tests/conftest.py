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
    """Distinguish pytest-xdist's workers: with the same command, they would look like one server's workers."""
    if hasattr(config, "workerinput"):
        sys.argv.append(config.workerinput["workerid"])


def pytest_collection_finish() -> None:
    """Let the programs that tests start find the installed package.

    Python and uvicorn put the working directory first on the path, and the checkout has the package too. Until now
    the tests to run may have been named from there.
    """
    os.chdir(Path(__file__).parent)
