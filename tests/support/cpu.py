"""A pytest plugin: ``--cpu-limit SECONDS`` fails a run whose tests together take more processor time.

It only counts the processor time of the tests' own bodies, because pure tests only compute. Other work on the
machine does not count, nor does pytest's part (a millisecond or two for each test).
"""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

_taken = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-limit", type=float, metavar="SECONDS", help="fail when the tests take longer")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    start = time.process_time()
    try:
        yield
    finally:
        stash = item.config.stash
        stash[_taken] = stash.get(_taken, 0.0) + time.process_time() - start


def _exceeds(config: pytest.Config) -> bool:
    limit = config.getoption("--cpu-limit")
    return limit is not None and config.stash.get(_taken, 0.0) > limit


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _exceeds(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    limit = config.getoption("--cpu-limit")
    if limit is not None:
        text = f"processor time of the tests: {config.stash.get(_taken, 0.0):.2f} s, limit {limit:g} s"
        terminalreporter.write_line(f"FAILED: {text}" if _exceeds(config) else text, red=_exceeds(config))
