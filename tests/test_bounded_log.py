from __future__ import annotations

import asyncio
import logging

import pytest

from walkie_signal.bounded_log import BoundedLog, say_what_was_left_out

LOG = logging.getLogger("walkie_signal.tests.bounded")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_the_end_of_the_process_says_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = BoundedLog(LOG, most=1, window=60, clock=clock)
    for number in range(5):
        log.write(logging.WARNING, "a refusal", "refused %d", number)
        clock.now += 2
    say_what_was_left_out()
    say_what_was_left_out()
    assert messages(caplog) == ["refused 0", "a refusal: 4 more such lines were left out in 10 s"]
    log.write(logging.WARNING, "a refusal", "refused again")
    assert messages(caplog)[2:] == ["refused again"]


def test_so_many_lines_of_a_kind_and_the_rest_counted_before_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = BoundedLog(LOG, most=2, window=60, clock=clock)
    for number in range(5):
        log.write(logging.WARNING, "a refusal", "refused %d", number)
    clock.now = 60
    log.write(logging.WARNING, "a refusal", "refused %d", 5)
    assert messages(caplog) == [
        "refused 0",
        "refused 1",
        "a refusal: 3 more such lines were left out in 60 s",
        "refused 5",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_each_kind_has_a_window_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    log = BoundedLog(LOG, most=1, window=60, clock=Clock())
    for _ in range(3):
        log.write(logging.WARNING, "one", "one")
        log.write(logging.ERROR, "another", "another")
    assert messages(caplog) == ["one", "another"]


def test_nothing_is_said_of_a_window_in_which_nothing_was_left_out(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = BoundedLog(LOG, most=2, window=60, clock=clock)
    log.write(logging.WARNING, "one", "first")
    clock.now = 61
    log.write(logging.WARNING, "one", "second")
    assert messages(caplog) == ["first", "second"]


async def test_where_a_loop_runs_the_count_comes_with_the_windows_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    log = BoundedLog(LOG, most=1, window=0.05, clock=loop.time)
    counted = loop.create_future()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "more such lines" in record.getMessage():
                counted.set_result(record.getMessage())

    told = Told()
    LOG.addHandler(told)
    try:
        for _ in range(3):
            log.write(logging.WARNING, "one", "a line")
        assert await asyncio.wait_for(counted, 5) == "one: 2 more such lines were left out in 0 s"
    finally:
        LOG.removeHandler(told)
    assert messages(caplog)[0] == "a line"


def test_what_nobody_reads_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = BoundedLog(LOG, most=1, window=60, clock=clock)
    with caplog.at_level(logging.WARNING, LOG.name):
        for _ in range(3):
            log.write(logging.INFO, "one", "quiet")
        clock.now = 61
        log.write(logging.WARNING, "one", "loud")
    assert messages(caplog) == ["loud"]
