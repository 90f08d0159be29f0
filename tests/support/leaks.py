"""A pytest plugin: nothing that a test started outlives it.

After each test, no task is pending on its event loop, no child process runs, and asyncio has logged no error ("Task
exception was never retrieved", "Task was destroyed but it is pending"). What belongs to a fixture of a wider scope
stays until that fixture ends. After the last test, no process runs that any test's program has started, even if its
own parent is gone. With pytest-xdist, the main process checks this once the workers have ended.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress

import pytest
import pytest_asyncio

from support.process_table import children, with_environment

GRACE = 2.0
"""Seconds that tasks and processes have to end after they were told to."""

MARK = "WALKIE_TESTS_RUN"
"""A variable in the environment of each program that a test starts; its value is the process id of the run."""

SLOW = 0.02
"""Seconds of a garbage collection after which the objects that are there are not visited again."""

TOLERATED_TASKS = {
    "AsyncServer._service_task": "python-engineio starts it on a connection; only shutdown() ends it",
    "AsyncSocket._send_ping": "python-engineio lets it sleep for a ping interval after its socket was closed",
}
"""Tasks that a host's stock server may leave, each with the reason."""

_processes_before = pytest.StashKey[set[int]]()
_left_by_run = pytest.StashKey[dict[int, str]]()


class _AsyncioErrors(logging.Handler):
    """Keeps the errors that asyncio logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(logging.Formatter().format(record))

    def drain(self) -> list[str]:
        texts, self._texts = self._texts, []
        return texts


_errors = _AsyncioErrors()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker(config):  # a worker inherits the mark of its run
        os.environ[MARK] = str(os.getpid())
    logging.getLogger("asyncio").addHandler(_errors)


def pytest_collection_finish() -> None:
    # The objects of the imports stay, so the garbage collections after each test need not visit them
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_outlives_the_test(request: pytest.FixtureRequest) -> None:
    # Fixtures of a wider scope have started by now, and their processes are not this test's
    request.node.stash[_processes_before] = set(children())
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_no_task_outlives_the_test")


@pytest_asyncio.fixture
async def _no_task_outlives_the_test() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    started = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in started:
        if getattr(task.get_coro(), "__qualname__", None) in TOLERATED_TASKS:
            task.cancel()
    if started:
        _, pending = await asyncio.wait(started, timeout=GRACE)
        if pending:
            pytest.fail("tasks outlive the test:\n" + "\n".join(map(repr, pending)), pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    try:
        yield
    finally:
        if pytest_asyncio.is_async_test(item):
            _collect()
        logged = _errors.drain()
        left = _ended(lambda: _children_since_setup(item))
    if left:
        pytest.fail("processes outlive the test:\n" + "\n".join(left.values()), pytrace=False)
    if logged:
        pytest.fail("asyncio logged:\n" + "\n".join(logged), pytrace=False)


def _collect() -> None:
    """Collect garbage: when a task is collected, asyncio logs its exception if nobody has read it.

    What a test leaves for good, such as the trees of all modules, would be visited after each later test.
    """
    began = time.perf_counter()
    gc.collect()
    if time.perf_counter() - began > SLOW:
        gc.freeze()


def _children_since_setup(item: pytest.Item) -> dict[int, str]:
    running = children()
    before = item.stash.get(_processes_before, set(running))
    return {pid: command for pid, command in running.items() if pid not in before}


@pytest.hookimpl(trylast=True)  # by then pytest-xdist has ended its workers, which also have the mark
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config):
        return
    left = _ended(lambda: with_environment(MARK, str(os.getpid())))
    session.config.stash[_left_by_run] = left
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for command in config.stash.get(_left_by_run, {}).values():
        terminalreporter.write_line(f"FAILED: a process outlives the run: {command}", red=True)


def _ended(processes: Callable[[], dict[int, str]]) -> dict[int, str]:
    """Give processes some time to end; kill those that don't, and return them."""
    deadline = time.monotonic() + GRACE
    while (left := processes()) and time.monotonic() < deadline:
        time.sleep(0.02)  # not all of them are our children, so there is nothing to wait for
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
