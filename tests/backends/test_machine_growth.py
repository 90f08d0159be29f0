"""What the keeper of a machine sends does not grow with the rooms: counted on its own socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from backends.test_machine_faults import keeper_of
from support.machine import named, two
from support.waiting import WITHIN
from walkie_signal.backends.machine.frames import Frames, pack
from walkie_signal.backends.shared.format import WRITES
from walkie_signal.core.changes import Member

MEMBERS = 100


class Follower:
    """A worker that only follows a room."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = Frames()
        self.heard: list[list[Any]] = []

    async def ask(self, number: int, *request: Any) -> None:
        """Send a request, and take what comes until it is answered."""
        self._writer.write(pack(number, *request))
        while not any(each[0] == number for each in self.heard):
            data = await asyncio.wait_for(self._reader.read(65536), WITHIN)
            assert data, "cut off"
            self.heard.extend(self._frames.feed(data))

    def of_rooms(self) -> list[list[Any]]:
        return [each for each in self.heard if each[0] == "room"]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


@pytest.mark.promise("One machine", "A join is one message to each worker in whose rooms it is, however full")
async def test_a_join_is_one_frame_to_each_worker_that_follows_its_room(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, _):
        reader, writer = await asyncio.open_unix_connection(str(keeper_of(folder)))
        writer.write(pack("walkie-signal", WRITES, "0" * 16, "worker-none.lock"))
        follower = Follower(reader, writer)
        await follower.ask(1, "follow", "r")
        for worker in (one, other):
            for number in range(MEMBERS):
                for room in ("r", "elsewhere"):
                    peer_id = f"{worker.backend.node_id}-{number:03}"
                    await worker.backend.join(Member(peer_id, room, None, None, worker.backend.node_id), 1000)
        await follower.ask(2, "names")
        frames = follower.of_rooms()
        assert [frame[1] for frame in frames] == ["r"] * 2 * MEMBERS
        lengths = [len(frame[2]) for frame in frames]
        assert max(lengths) - min(lengths) <= 2, "digits of the version"
        writer.close()
