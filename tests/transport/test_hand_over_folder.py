"""How workers find one another: ids that lead nowhere, sockets of the dead and the stopped, a folder not ours."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio

from support.raw import RefusedError, raw
from support.servers import hosted
from support.waiting import eventually
from transport.workers import Workers, temporary_folder, workers  # noqa: F401 - a fixture
from walkie_signal import attach
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("folder")
UNKNOWN = (400, {"code": 1, "message": "Session ID unknown"})


def all_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def allow(folder: Path, mode: int) -> None:
    folder.chmod(mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


FORGED = {
    "nothing": "",
    "a path": "../x",
    "a path as long as an id": "../../.." + "x" * 24,
    "slashes": "/" * 32,
    "too long": "x" * 5000,
    "too short": "x" * 31,
    "nobody's": "x" * 32,
    "a line": "x" * 31 + "\n",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_an_id_that_is_nobody_s_is_unknown(forged: str, folder: Path) -> None:
    async with workers() as pair:
        await pair.owner.joined_polling()
        outside = names(folder.parent)
        for answer in (await pair.other.get(forged), await pair.other.post(forged, "1")):
            assert (answer.status_code, answer.json()) == UNKNOWN
        with pytest.raises(RefusedError):
            async with pair.other.websocket(f"EIO=4&transport=websocket&sid={forged.strip()}"):
                pass
        assert names(folder.parent) == outside
        assert len(names(folder)) == 1


async def test_an_unknown_id_of_a_worker_that_lives_is_answered_by_it_once() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        answer = await pair.other.get(sid[:8] + "x" * 24)
        assert (answer.status_code, answer.json()) == UNKNOWN
        with pytest.raises(RefusedError):
            async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid[:8]}{'x' * 24}"):
                pass


def left_behind(folder: Path, name: str, age: float) -> Path:
    """Leave a socket that nobody listens on, as a worker that is killed does."""
    folder.mkdir(0o700, exist_ok=True)
    path = folder / name
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    os.utime(path, (time.time() - age,) * 2)
    return path


async def test_what_dead_workers_left_is_removed(folder: Path) -> None:
    old, young = left_behind(folder, "aaaaaaaa.sock", 60), left_behind(folder, "bbbbbbbb.sock", 0)
    async with workers() as pair:
        await pair.owner.joined_polling()
        assert old.name not in names(folder)
        assert young.name in names(folder), "it may be about to listen"
        assert (await pair.other.get("b" * 32)).status_code == 400
        assert young.name not in names(folder), "who asks for it knows that it did listen"


@contextmanager
def frozen(folder: Path, name: str) -> Iterator[None]:
    """Listen, as far as the kernel does: nobody accepts."""
    folder.mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / name))
        silent.listen()
        yield


async def test_a_worker_that_does_not_answer_is_no_reason_to_wait_for_long(folder: Path) -> None:
    with frozen(folder, "aaaaaaaa.sock"):
        async with workers() as pair:
            start = time.monotonic()
            answer = await pair.other.get("a" * 32)
            assert answer.status_code == 503
            with pytest.raises(RefusedError):
                async with pair.other.websocket(f"EIO=4&transport=websocket&sid={'a' * 32}"):
                    pass
            assert 4 <= time.monotonic() - start < 6


def spoil(folder: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "open to others":
        folder.mkdir()
        folder.chmod(0o750)
    elif fault == "a link":
        (folder.parent / "elsewhere").mkdir(0o700)
        folder.symlink_to(folder.parent / "elsewhere")
    elif fault == "a file":
        folder.touch(0o700)
    elif fault == "read-only":
        monkeypatch.setenv("TMPDIR", "/proc")  # where nobody, not even root, makes a folder
    else:
        long = folder.parent / ("x" * 100)
        long.mkdir()
        monkeypatch.setenv("TMPDIR", str(long))


@pytest.mark.promise(
    "Many nodes",
    "The workers' folder: the same for all of a port, made again with no session lost if it is removed, "
    "and one warning if it can't be used",
)
@pytest.mark.parametrize("fault", ["open to others", "a link", "a file", "read-only", "too long"])
async def test_a_folder_that_is_not_ours_alone_is_not_used(
    fault: str, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(folder, fault, monkeypatch)
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        assert (await pair.owner.post(sid, "3")).text == "ok"
        for _ in range(2):
            assert (await pair.other.get("x" * 32)).status_code == 400
            assert (await pair.owner.open())["sid"]
        warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == 2, warnings
        where = "/proc/" if fault == "read-only" else str(folder.parent)
        assert all("not handed over" in each and where in each for each in warnings)


async def answers(pair: Workers, sid: str) -> None:
    """Wait until the other worker serves a session."""
    await eventually(lambda: pair.other.post(sid, "3"), lambda answer: answer.text == "ok")


@pytest.mark.promise(
    "Many nodes",
    "The workers' folder: the same for all of a port, made again with no session lost if it is removed, "
    "and one warning if it can't be used",
)
async def test_a_folder_that_is_removed_under_the_workers_costs_no_session(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As by a cleaner of temporary files, and twice."""
    async with workers() as pair:
        sids = [await pair.owner.joined_polling() for _ in range(12)]
        await pair.other.joined_polling()
        for _ in range(2):
            shutil.rmtree(folder)
            for sid in sids:
                assert (await pair.other.post(sid, '421["echo",1]')).text == "ok"
            for sid in sids:
                assert "431[1]" in (await pair.other.get(sid)).text
        assert "was removed; it is made again" in caplog.text
        assert len(names(folder)) == 2


async def test_a_socket_that_is_removed_is_made_again(folder: Path) -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        (name,) = names(folder)
        (folder / name).unlink()
        await answers(pair, sid)
        assert names(folder) == [name]


@pytest.mark.promise(
    "Many nodes",
    "The workers' folder: the same for all of a port, made again with no session lost if it is removed, "
    "and one warning if it can't be used",
)
async def test_a_folder_that_can_not_be_used_for_a_while_is_used_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        allow(folder, 0o750)
        await eventually(lambda: caplog.text, lambda text: "not handed over" in text)
        assert names(folder) == []
        allow(folder, 0o700)
        await answers(pair, sid)
        assert "handed over to other workers again" in caplog.text


async def test_workers_move_together_when_another_folder_is_the_one_to_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a login makes the one of its own again, which the workers that start later find."""
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        own = folder.parent / "own"
        own.mkdir(0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
        await answers(pair, sid)
        assert names(folder) == []
        assert len(names(own / folder.name)) == 1


async def test_without_it_there_is_no_folder_and_no_longer_id(folder: Path) -> None:
    sio = create_server()
    async with hosted(socketio.ASGIApp(sio)) as url, raw(f"{url}/socket.io/") as client:
        assert len((await client.open())["sid"]) == 24
        await sio.shutdown()
    assert folder.name not in names(folder.parent)


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


async def test_the_end_of_the_lifespan_leaves_no_file(folder: Path) -> None:
    app = attach(nothing_here, sio=create_server(hand_over=True))
    async with hosted(app) as url, raw(f"{url}/socket.io/") as client:
        await client.joined_polling()
        assert len(names(folder)) == 1
    assert all_names(folder) == []


async def test_after_a_shutdown_it_starts_again(folder: Path) -> None:
    async with workers() as pair:
        first = await pair.owner.joined_polling()
        await pair.sio.shutdown()
        assert names(folder) == []
        assert (await pair.other.get(first)).status_code == 400
        second = await pair.owner.joined_polling()
        assert (await pair.other.post(second, '421["echo",1]')).text == "ok"
        assert (await pair.other.get(second)).text == "431[1]"
