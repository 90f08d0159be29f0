"""What comes to the keeper's socket, and what becomes of its files, harms nobody."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.machine import Worker, named, two
from support.processes import running
from support.waiting import WITHIN, eventually
from walkie_signal.backends.machine.frames import pack
from walkie_signal.core.changes import Left
from walkie_signal.errors import SignalingError
from walkie_signal.runtime_folder import UnusableError
from walkie_signal.unix_sockets import is_ours, listener_at

TAKEN_OVER = 4.0
"""Seconds until another keeper has taken over: it takes two, and as long again on a machine with other work."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Return the files and sockets of the group whose names are like that."""
    return [path for path in folder.rglob(pattern) if not path.is_dir()]


def keeper_of(folder: Path) -> Path:
    """Return the socket of the keeper."""
    (path,) = folder.rglob("term-*.sock")
    return path


STRANGERS = {
    "no frame": b"GET / HTTP/1.1\r\n\r\n",
    "another greeting": pack("somebody", "1", "node", "lock"),
    "another release": pack("walkie-signal", "99", "node", "lock"),
    "a request before the greeting": pack(1, "beat"),
    "a frame without end": b"\xff\xff\xff\xff" + b"x" * 100,
}


@pytest.mark.promise("One machine", "Whatever comes to a socket between workers harms only who sends it")
@pytest.mark.parametrize("sent", STRANGERS.values(), ids=STRANGERS)
async def test_a_stranger_is_cut_off_and_nobody_else(
    folder: Path, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        reader, writer = await asyncio.open_unix_connection(str(keeper_of(folder)))
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert caplog.text.count("a worker is cut off: ") == 1
        await one.join("c")
        assert {each.peer_id for each in await other.backend.roster("r")} == {"a", "b", "c"}
        assert not [each for each in one.site.applied + other.site.applied if isinstance(each, Left)]
        one.send(b, 1)
        await other.site.until(lambda: other.heard() == ["1"])


async def test_half_a_greeting_is_waited_for(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, _):
        writer = (await asyncio.open_unix_connection(str(keeper_of(folder))))[1]
        writer.write(pack("walkie-signal", "1", "node", "lock")[:6])
        await one.join("c")
        assert len(await other.backend.roster("r")) == 3
        writer.close()


@pytest.mark.promise("One machine", "Files that a cleaner removes part nobody")
@pytest.mark.parametrize("lost", ["term-*.lock", "term-*.sock", "worker-*.lock", "*"])
async def test_lost_files_part_nobody(folder: Path, lost: str) -> None:
    async with two(named(folder), named(folder)) as (one, other, _):
        for path in files_in(folder, lost):
            path.unlink()
        third = Worker(named(folder))
        await third.backend.start(third.site)
        try:
            await eventually(lambda: third.backend.ready)
            for worker in (one, other, third):
                await eventually(partial(_peers, worker), lambda found: found == {"a", "b"}, "who is there")
            assert not [each for each in one.site.applied + other.site.applied if isinstance(each, Left)]
        finally:
            await third.backend.close()


async def _peers(worker: Worker) -> set[str]:
    with suppress(SignalingError):  # another keeper begins
        return {each.peer_id for each in await worker.backend.roster("r")}
    return set()


@pytest.mark.parametrize("how", ["a file", "a link", "open to all"])
async def test_a_folder_that_is_not_ours_alone_ends_the_start(folder: Path, how: str) -> None:
    """And the reason is said: a named group never goes on in memory."""
    worker = Worker(named(folder))
    await worker.backend.start(worker.site)
    group = keeper_of(folder).parent
    await worker.backend.close()
    if how == "a file":
        group.touch()
    elif how == "a link":
        (folder / "elsewhere").mkdir(0o700)
        group.symlink_to(folder / "elsewhere")
    else:
        group.mkdir()
        group.chmod(0o777)
    with pytest.raises(UnusableError, match=str(group)):
        await worker.backend.start(worker.site)


STRANGER = """
    import os, socket, sys
    os.setuid(65534)
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(sys.argv[1])
    connected.recv(1)
"""


def test_the_other_end_of_a_socket_is_known_by_its_user() -> None:
    """Only root can be somebody else; everybody can be themselves."""
    with TemporaryDirectory() as made:
        path = Path(made, "s")
        with listener_at(path) as listener, socket.socket(socket.AF_UNIX) as mine:
            listener.settimeout(WITHIN)
            mine.connect(str(path))
            with listener.accept()[0] as accepted:
                assert is_ours(accepted)
                assert is_ours(mine)
            if os.geteuid() == 0:
                Path(made).chmod(0o755)
                path.chmod(0o777)
                command = [sys.executable, "-c", textwrap.dedent(STRANGER), str(path)]
                with subprocess.Popen(command) as stranger:
                    with listener.accept()[0] as theirs:
                        assert not is_ours(theirs)
                    assert stranger.wait(WITHIN) == 0


FORKS = """
    import asyncio, os, signal, sys
    from walkie_signal.backends.machine import MachineBackend
    from walkie_signal.backends.machine.groups import NamedGroup
    from support.sites import KeptSite

    async def main():
        backends = [MachineBackend(NamedGroup(sys.argv[1])) for _ in range(2)]
        for each in backends:
            await each.start(KeptSite())
        child = os.fork()
        if child == 0:
            signal.pause()
        print("fork", child, flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


async def test_a_fork_keeps_no_place_in_the_group(folder: Path) -> None:
    """The locks of a worker that was killed are free and its sockets refuse, though its fork lives on."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(FORKS), str(folder)]
    tests = str(Path(__file__).parents[1])
    async with running(command, cwd=folder, env={"PYTHONPATH": tests}) as program:
        fork = int((await program.line(r"fork (\d+)"))[1])
        worker = Worker(named(folder))
        try:
            await worker.backend.start(worker.site)
            await eventually(lambda: worker.backend.ready)
            sockets = [path for path in files_in(folder, "*.sock") if path.stem != worker.backend.node_id]
            assert len(sockets) == 3, "the keeper's, and one for each node"
            for path in sockets:
                os.link(path, path.with_suffix(".kept"))  # the others remove the files of the dead
            program.send_signal(signal.SIGKILL)
            for path in sockets:
                await eventually(partial(_refuses, path.with_suffix(".kept")), what=f"closed: {path.name}")
            await eventually(partial(_joined, worker), within=TAKEN_OVER)
        finally:
            os.kill(fork, signal.SIGKILL)
            await worker.backend.close()


def _refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # noqa: FBT003 - the standard library's
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


async def _joined(worker: Worker) -> bool:
    with suppress(SignalingError):
        await worker.join("a")
        return True
    return False


CROWD = r"""
    import asyncio, os, signal, sys
    from support.machine import Worker, named
    from pathlib import Path
    from walkie_signal.errors import SignalingError

    async def work(number):
        worker = Worker(named(Path(sys.argv[1])))
        await worker.backend.start(worker.site)
        while True:
            try:
                await worker.join(f"{number}")
                break
            except SignalingError:
                await asyncio.sleep(0.1)
        os.write(1, b"joined\n")
        await asyncio.sleep(100)

    children = []
    for number in range(int(sys.argv[2])):
        child = os.fork()
        if child == 0:
            asyncio.run(work(number))
        children.append(child)
    os.write(1, f"children {' '.join(map(str, children))}\n".encode())
    signal.pause()
"""


async def test_of_64_workers_the_half_is_killed(folder: Path) -> None:
    """The keeper is among them. Nodes remove so many in several beats, and all of them want a processor for it."""
    command = [sys.executable, "-c", textwrap.dedent(CROWD), str(folder), "64"]
    env = {"PYTHONPATH": str(Path(__file__).parents[1])}
    async with running(command, cwd=folder, env=env) as program:
        children = [int(each) for each in (await program.line("children (.*)"))[1].split()]
        try:
            await eventually(lambda: program.output.count("joined") == len(children), within=60)
            witness = Worker(named(folder))
            await witness.backend.start(witness.site)
            await eventually(lambda: witness.backend.ready)
            await witness.join("witness")
            for child in children[::2]:
                os.kill(child, signal.SIGKILL)
            stay = {"witness", *map(str, range(1, len(children), 2))}
            await eventually(
                partial(_peers, witness), lambda found: found == stay, "who is there", 2 * TAKEN_OVER
            )
            gone = {str(number) for number in range(0, len(children), 2)}
            await witness.site.until(lambda: len(_left(witness)) == len(gone))
            assert set(_left(witness)) == gone
            await witness.backend.close()
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)


def _left(worker: Worker) -> list[str]:
    return [each.peer_id for each in worker.site.applied if isinstance(each, Left)]
