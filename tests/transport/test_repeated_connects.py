"""A CONNECT for a namespace whose CONNECT is not answered yet, or has just been: its client is not to blame.

A stock client that connects, disconnects and connects in one tick, as pages in development do, sends two of them
and no DISCONNECT in between, for it is not connected yet. It may send the second when the answer to the first is on
its way to it. The JavaScript server answers both while the first is being let in, and closes the connection after.
"""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.raw import Session
from transport.serving import nothing_left, serving
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")

BAD, ONE, TWO = ('40{"user":"bad"}', '40{"user":"one"}', '40{"user":"two"}')


class Door:
    """A server on two namespaces whose connect handler waits for the gate, and refuses ``bad``."""

    def __init__(self, **options: Any) -> None:
        self.sio = create_server(**options)
        self.gate = asyncio.Event()
        self.calls: list[tuple[str, Any]] = []
        self.users: dict[str, Any] = {}
        for namespace in ("/", "/other"):
            self.sio.on("connect", self.connect, namespace=namespace)
            self.sio.on("disconnect", self.disconnect, namespace=namespace)
            self.sio.on("who", self.who, namespace=namespace)
        self.sio.on("open", self.open, namespace="/gate")

    async def connect(self, sid: str, environ: Any, auth: Any) -> bool:
        user = (auth or {}).get("user")
        self.calls.append(("connect", user))
        await self.gate.wait()
        self.users[sid] = user
        return user != "bad"

    async def disconnect(self, sid: str, reason: str) -> None:
        self.calls.append(("disconnect", self.users[sid]))

    async def open(self, sid: str) -> None:
        self.gate.set()

    async def who(self, sid: str) -> Any:
        return self.users[sid] or "nobody"


async def answers(session: Session, *last: str) -> list[str]:
    """Return all packets up to those that begin with `last`, in whatever order these come; sids left out."""
    packets: list[str] = []
    left = [*last]
    while left:
        packet = str(await session.message())
        left = [each for each in left if not packet.startswith(each)]
        packets.append("40" + packet[2:].partition("{")[0] if packet.startswith("40") else packet)
    return packets


async def conversation(session: Session, door: Door, frames: list[str], last: str) -> list[str]:
    """Send frames in one tick, over polling in one POST, and behind them what opens the gate."""
    await session.send("40/gate,")
    assert str(await session.message()).startswith("40/gate,")
    await session.send("40/other,", *frames, '4299["who"]', '42/gate,["open"]')
    heard = await answers(session, last, "40/other,")
    await session.send('42/other,98["who"]')
    assert (await session.message()) == '43/other,98["nobody"]', "the other namespace is disturbed"
    return [packet for packet in heard if packet != "40/other,"]


CASES: dict[str, tuple[list[str], list[str], list[tuple[str, Any]]]] = {
    "once more": ([ONE, ONE], ["40", '4399["one"]'], [("connect", "one")]),
    "many times": ([ONE] * 50, ["40", '4399["one"]'], [("connect", "one")]),
    "as somebody else": (
        [ONE, TWO, TWO],
        ["40", "40", '4399["two"]'],
        [("connect", "one"), ("disconnect", "one"), ("connect", "two")],
    ),
    "after a DISCONNECT": (
        [ONE, "41", ONE, ONE],
        ["40", "40", '4399["one"]'],
        [("connect", "one"), ("disconnect", "one"), ("connect", "one")],
    ),
    "there and back": (
        [ONE, "41", TWO, "41", ONE],
        ["40", "40", "40", '4399["one"]'],
        [
            ("connect", "one"), ("disconnect", "one"), ("connect", "two"), ("disconnect", "two"),
            ("connect", "one"),
        ],
    ),
    "after one that is refused": (
        [BAD, '421["who"]', TWO],
        ['44{"message":"Connection rejected by server"}', "40", '4399["two"]'],
        [("connect", "bad"), ("connect", "two")],
    ),
    "after one that is refused and taken back": (
        [BAD, "41", TWO],
        ['44{"message":"Connection rejected by server"}', "40", '4399["two"]'],
        [("connect", "bad"), ("connect", "two")],
    ),
}  # fmt: skip


@pytest.mark.promise(
    "The transport",
    "A CONNECT that repeats an unanswered one is ignored; any other begins anew, with its own auth; other "
    "namespaces are not disturbed",
)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(("frames", "heard", "calls"), CASES.values(), ids=CASES)
async def test_a_connect_beside_one_that_is_being_answered(
    transport: str, frames: list[str], heard: list[str], calls: list[tuple[str, Any]]
) -> None:
    door = Door()
    async with serving(door.sio) as client:
        async with client.opened() if transport == "websocket" else client.polling() as session:
            said = await conversation(session, door, frames, "4399")
            acks = [packet for packet in said if packet.startswith("43")]
            assert acks == [packet for packet in heard if packet.startswith("43")]
            assert [packet[:2] for packet in said if packet not in acks] == [
                packet[:2] for packet in heard if packet not in acks
            ]
            assert [call for call in door.calls if call[1] is not None] == calls
            await session.send("1")
        await nothing_left(door.sio)


@pytest.mark.promise(
    "The transport",
    "A CONNECT that repeats an unanswered one is ignored; any other begins anew, with its own auth; other "
    "namespaces are not disturbed",
)
@pytest.mark.parametrize("always_connect", [False, True])
async def test_a_connect_whose_answer_was_not_seen_begins_anew(*, always_connect: bool) -> None:
    """A client that took its CONNECT back has dropped the answer, and would wait for ever for another."""
    door = Door(always_connect=always_connect)
    if not always_connect:
        door.gate.set()
    async with serving(door.sio) as client, client.opened() as socket:
        await socket.send("40/other,", ONE)
        first = await sid_of(socket)
        await socket.send(ONE, '421["who"]')
        door.gate.set()
        second = await sid_of(socket)
        assert second != first
        assert await socket.message() == '431["one"]'
        await socket.send('42/other,2["who"]')
        assert await socket.message() == '43/other,2["nobody"]'
        assert [call for call in door.calls if call[1]] == [
            ("connect", "one"), ("disconnect", "one"), ("connect", "one"),
        ]  # fmt: skip


async def sid_of(socket: Session) -> str:
    """Return the sid of the next answer to a CONNECT of the default namespace."""
    while not (packet := str(await socket.message())).startswith("40{"):
        assert packet.startswith("40/other,"), packet
    sid: str = json.loads(packet[2:])["sid"]
    return sid


async def test_what_is_deferred_beside_many_connects_is_bounded() -> None:
    door = Door()
    async with serving(door.sio) as client, client.opened() as socket:
        await socket.send(*([ONE, TWO] * 600))
        assert await socket.closed(1) == 1002
    door.gate.set()
    await nothing_left(door.sio)
