"""Which programs are measured when the run is: only those of the tests whose programs run what no other test does.

coverage measures each program that inherits its variable, and such a program takes twice as long to start.
"""

from __future__ import annotations

import os

import pytest

VARIABLE = "COVERAGE_PROCESS_CONFIG"

MEASURED = ("tests/cli/", "tests/emits/", "tests/hosts/", "tests/proxies/")
"""Their tests start commands and hosts as users do; other tests have most of the package in their own process."""

_config = os.environ.get(VARIABLE)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test's programs be measured, or not."""
    os.environ.pop(VARIABLE, None)
    if _config is not None and item.nodeid.startswith(MEASURED):
        os.environ[VARIABLE] = _config
