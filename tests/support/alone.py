"""A pytest plugin: while a test with the marker ``alone`` runs, no other worker of pytest-xdist runs a test."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path

import pytest


def _hold(folder: Path, name: str, how: int, stack: ExitStack) -> None:
    file = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    stack.callback(os.close, file)
    flock(file, how)
    # Closing the file is not enough: a process that a test has forked would keep the lock
    stack.callback(flock, file, LOCK_UN)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of pytest-timeout, which must not count the wait
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(item.config, "workerinput"):
        return (yield)
    # The folder of the run, which holds the folders of all workers
    folder = Path(item.config.getoption("basetemp")).parent
    alone = item.get_closest_marker("alone") is not None
    with ExitStack() as stack:
        with ExitStack() as turn:  # no other test overtakes one that waits to be alone
            _hold(folder, "turn.lock", LOCK_EX, turn)
            _hold(folder, "tests.lock", LOCK_EX if alone else LOCK_SH, stack)
        return (yield)
