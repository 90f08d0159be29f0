"""Who comes to the sockets of a group without being one of it, or says there what no worker says, harms nobody."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from backends.test_machine_faults import keeper_of
from support.machine import Worker, named, socket_of, two
from support.processes import running
from support.waiting import eventually, in_time
from walkie_signal.backends.machine.frames import pack
from walkie_signal.backends.shared.format import WRITES
from walkie_signal.bounded_log import MOST
from walkie_signal.core.changes import Left
from walkie_signal.runtime_folder import UnusableError

NOBODY = 65534

CUT = "a worker is cut off: "


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose parents everybody may enter, unlike those of pytest."""
    with TemporaryDirectory() as made:
        yield Path(made)


GREETS = pack("walkie-signal", WRITES, "stranger", "worker-stranger.lock")

REQUESTS: dict[str, list[Any]] = {
    "no verb": [1],
    "a verb that is none": [1, ["beat"]],
    "too few arguments": [1, "join", "r"],
    "too many arguments": [1, "names", "r"],
    "a room that is none": [1, "follow", {}],
    "a member without end": [1, "join", "r", "x", "9" * 5000, 10, True],
    "a capacity that is none": [1, "join", "r", "x", "{}", "ten", True],
    "a peer that is none": [1, "join", "r", ["x"], "{}", 10, True],
    "members that are none": [1, "settle", "r", "stranger", 7, None],
    "values that are none": [1, "settle", "r", "stranger", {}, [7]],
    "a time that is none": [1, "swap", "r", "k", 0, "text", None, "long"],
    "a node that is none": [1, "publish", {}, "text"],
    "a lease that is none": [1, "claim", "stranger", "x"],
    "nobody to forget": [1, "forget", []],
    "a place that is none": [1, "enter", [], None],
}
"""What a worker with a fault could ask for; the argument of no verb is of the right kind."""


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
async def test_a_worker_that_asks_for_nonsense_is_cut_off_and_nobody_else(
    folder: Path, asked: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        await cut_off(folder, GREETS + pack(*asked))
        assert [record.message[: len(CUT)] for record in caplog.records] == [CUT]
        assert len(caplog.records[0].message) < 300
        await unharmed(one, other, b)


@pytest.mark.parametrize(
    "sent", [b"[" * 200_000, b'[1,"' + b"\\ud800" * 3 + b'"]'], ids=["deep", "surrogates"]
)
async def test_a_frame_that_no_json_reader_takes_is_a_broken_one(
    folder: Path, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        await cut_off(folder, GREETS + len(sent).to_bytes(4, "big") + sent)
        assert [record.message[: len(CUT)] for record in caplog.records] == [CUT]
        await unharmed(one, other, b)


async def cut_off(folder: Path, sent: bytes) -> None:
    """Send the keeper something, and wait until it has ended the connection."""
    reader, writer = await asyncio.open_unix_connection(str(keeper_of(folder)))
    writer.write(sent)
    await in_time(reader.read(), lambda: "it is not cut off")
    writer.close()


async def unharmed(one: Worker, other: Worker, b: Any) -> None:
    await one.join("c")
    assert {each.peer_id for each in await other.backend.roster("r")} == {"a", "b", "c"}
    assert not [each for each in one.site.applied + other.site.applied if isinstance(each, Left)]
    one.send(b, 1)
    await other.site.until(lambda: other.heard() == ["1"])


async def test_many_strangers_fill_no_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        for _ in range(3 * MOST):
            await cut_off(folder, b"\xff" * 64)
        assert caplog.text.count(CUT) == MOST
        await unharmed(one, other, b)


async def test_whoever_has_not_greeted_yet_is_let_go_at_the_end_of_the_term(folder: Path) -> None:
    """Else a worker that is just coming would wait for the greeting of a keeper that has ended."""
    async with two(named(folder), named(folder)) as (one, other, _):
        reader, writer = await asyncio.open_unix_connection(str(keeper_of(folder)))
        writer.write(GREETS[:6])
        await one.join("c")
        await one.backend.close()
        try:
            await in_time(reader.read(), lambda: "it is not let go")
        finally:
            writer.close()
        await eventually(lambda: other.backend.ready)


COMES = """
    import os, socket, sys
    uid, greeting, *paths = sys.argv[1:]
    if int(uid) != os.geteuid():
        os.setgroups([])
        os.setuid(int(uid))
    for path in paths:
        with socket.socket(socket.AF_UNIX) as connected:
            connected.connect(path)
            try:
                connected.sendall(bytes.fromhex(greeting))
                print("heard", len(connected.recv(100)), flush=True)
            except (BrokenPipeError, ConnectionResetError):
                print("heard 0", flush=True)
"""


async def test_somebody_else_is_cut_off_from_the_sockets_of_a_group(folder: Path) -> None:
    """Only root can be somebody else; our own user is greeted, whoever that is."""
    async with two(named(folder), named(folder)) as (one, other, b):
        keeper, node = keeper_of(folder), socket_of(other, folder)
        await comes(os.geteuid(), keeper, hears=True)
        if os.geteuid() == 0:
            for path in (folder, keeper.parent, keeper, node):
                path.chmod(0o777)
            await comes(NOBODY, keeper, node, hears=False)
            keeper.parent.chmod(0o700)
        await unharmed(one, other, b)


async def comes(uid: int, *paths: Path, hears: bool) -> None:
    """Let a process of a user greet at some sockets, and look whether it hears anything."""
    command = [sys.executable, "-c", textwrap.dedent(COMES), str(uid), GREETS.hex(), *map(str, paths)]
    async with running(command) as program:
        assert await program.wait() == 0, program.output
        heard = [found != "0" for found in re.findall(r"heard (\d+)", program.output)]
        assert heard == [hears] * len(paths), program.output


STARTS = """
    import asyncio, os, sys
    from support.sites import KeptSite
    from walkie_signal.backends.machine import MachineBackend
    from walkie_signal.backends.machine.groups import NamedGroup
    from walkie_signal.runtime_folder import UnusableError

    if os.geteuid() == 0:
        os.setgroups([])
        os.setuid(int(sys.argv[2]))

    async def main():
        try:
            await MachineBackend(NamedGroup(sys.argv[1])).start(KeptSite())
        except UnusableError as error:
            print("unusable:", error, flush=True)

    asyncio.run(main())
"""


def take_writing_from(folder: Path, closed: Path) -> None:
    """Make a folder one that its owner can't write in."""
    if os.geteuid() == 0:
        folder.chmod(0o755)
        os.chown(closed, NOBODY, -1)
    closed.chmod(0o500)


@pytest.mark.parametrize("which", ["where the group would be", "the group's own"])
async def test_a_folder_that_can_not_be_written_ends_the_start(folder: Path, which: str) -> None:
    """Root can write anywhere, so it becomes somebody else."""
    worker = Worker(named(folder))
    await worker.backend.start(worker.site)
    group = keeper_of(folder).parent
    await worker.backend.close()
    closed = folder
    if which == "the group's own":
        closed = group
        group.mkdir()
    take_writing_from(folder, closed)
    env = {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(STARTS), str(folder), str(NOBODY)]
    async with running(command, cwd=folder, env=env) as program:
        assert str(group) in (await program.line("unusable: .*"))[0]
        assert await program.wait() == 0
    closed.chmod(0o700)


async def test_a_folder_of_somebody_else_ends_the_start(folder: Path) -> None:
    """Where we are not root, there is somebody else's in the system: root's."""
    worker = Worker(named(folder))
    await worker.backend.start(worker.site)
    group = keeper_of(folder).parent
    await worker.backend.close()
    if os.geteuid() == 0:
        group.mkdir(0o700)
        os.chown(group, NOBODY, -1)
    else:
        group.symlink_to("/")
    with pytest.raises(UnusableError, match=str(group)):
        await worker.backend.start(worker.site)


def each_of(*calls: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        for each in calls:
            each()

    return call


async def test_a_worker_that_ends_while_it_is_cut_off_leaves_no_folder(folder: Path) -> None:
    """It can't take its node out of the store then, but its files are its own."""
    async with two(named(folder), named(folder)) as (one, other, _):
        await one.backend.close()
        await eventually(lambda: other.backend.ready)
        uplink, cut = other.stored._uplink, asyncio.Event()
        uplink._down = each_of(uplink._down, cut.set)
        uplink.lose("for a test")
        await in_time(cut.wait(), lambda: "it is not cut off")
        assert not other.backend.ready
        await other.backend.close()
        assert os.listdir(folder) == []  # noqa: PTH208 - it is the test's own
