"""Where no file can be made or opened any more, workers of a machine wait until one can, and give nobody up."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from support.machine import Worker, named, two
from support.waiting import eventually
from walkie_signal import file_locks
from walkie_signal.backends.machine.folder import GroupFolder
from walkie_signal.core.changes import Left

BEATS = 3.0
"""Seconds in which each node beats at least twice."""

LAST = "term-000000000007.lock"
"""What a keeper leaves behind that is killed."""

NEXT = [f"term-{term:012}.sock" for term in range(8, 50)]
"""Where the keepers of the next terms would listen."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


def group_of(folder: Path) -> Path:
    """Return the folder of the group."""
    return next(folder.rglob("term-*.lock")).parent


def block(group: Path) -> None:
    """Let no keeper of a next term listen: there is no place for its socket."""
    (group / LAST).touch()
    for name in NEXT:
        (group / name).mkdir()


def unblock(group: Path) -> None:
    for name in NEXT:
        with suppress(FileNotFoundError, NotADirectoryError):
            (group / name).rmdir()


def open_locks(folder: Path) -> list[str]:
    """Return the locks of terms below a folder that this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(each.readlink()))
    return [path for path in found if path.startswith(str(folder)) and "/term-" in path and "lock" in path]


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_whoever_can_not_listen_does_not_keep_the_lock_of_the_term(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else nobody else could begin one either; and each try would leave an open file behind."""
    async with two(named(folder), named(folder)) as (one, other, _):
        group = group_of(folder)
        block(group)
        await one.backend.close()
        await eventually(lambda: "trying again" in caplog.text)
        third = Worker(named(folder))
        await third.backend.start(third.site)
        try:
            assert not third.backend.ready
            assert open_locks(folder) == []
            unblock(group)
            await eventually(lambda: other.backend.ready and third.backend.ready)
            assert [each.peer_id for each in await third.backend.roster("r")] == ["b"]
        finally:
            await third.backend.close()
    assert open_locks(folder) == []


async def test_a_worker_starts_though_nobody_can_keep_the_rooms_yet(folder: Path) -> None:
    """It is not ready, as where a Redis server is away; it never goes on with rooms of its own."""
    first = Worker(named(folder))
    await first.backend.start(first.site)
    group = group_of(folder)
    await first.backend.close()
    group.mkdir(0o700)
    (group / "term-000000000001.sock").mkdir()
    await first.backend.start(first.site)
    try:
        assert not first.backend.ready
        (group / "term-000000000001.sock").rmdir()
        await eventually(lambda: first.backend.ready)
        await first.join("a")
    finally:
        await first.backend.close()


def test_a_lock_that_can_not_be_looked_at_counts_as_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not file_locks.is_held(path)
    path.touch()
    assert not file_locks.is_held(path)
    with no_more_files():
        assert file_locks.is_held(path)


def test_a_worker_was_killed_if_its_file_is_there_and_nobody_holds_it(tmp_path: Path) -> None:
    """A file that is gone tells nothing: its worker has ended well, or something has cleaned up there."""
    group = GroupFolder(tmp_path)
    lock = group.enter()
    killed = "worker-killed.lock"
    (tmp_path / killed).touch()
    assert group.was_killed(killed)
    assert not group.was_killed(lock.path.name)
    assert not group.was_killed("worker-removed.lock")
    with no_more_files():
        assert not group.was_killed(killed)
    for worker in (killed, lock.path.name):
        group.remove(worker)
    assert list(tmp_path.iterdir()) == [lock.path], "a process that lives lost its lock with an earlier node"
    lock.release()


async def test_a_process_that_can_open_no_file_stays_what_it_was(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its beats go through, or the others would remove it, and its keeper takes nobody for dead."""
    caplog.set_level(logging.WARNING)
    lonely = Worker(named(folder / "lonely"))
    (folder / "lonely").mkdir(0o700)
    await lonely.backend.start(lonely.site)
    async with two(named(folder), named(folder)) as (one, other, b):
        before = [worker.stored._heart._last for worker in (one, other)]
        with no_more_files():
            await asyncio.sleep(BEATS)
            one.send(b, 1)
            await other.site.until(lambda: other.heard() == ["1"])
        after = [worker.stored._heart._last for worker in (one, other)]
        assert all(late > early for early, late in zip(before, after, strict=True))
        with no_more_files():
            other.stored._uplink.lose("a test")
            await asyncio.sleep(BEATS)
        await eventually(partial(getattr, other.backend, "ready"))
        assert not [each for each in one.site.applied + other.site.applied if isinstance(each, Left)]
        assert "fault" not in caplog.text
        assert lonely.backend._alone is not None
    await lonely.backend.close()
