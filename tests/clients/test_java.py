"""The library that Android apps use, ``io.socket:socket.io-client``, in a program of its own for each peer.

``java/src/main/java/peer/Peer.java`` is that program: it joins a room and calls whom it finds there (the
impolite of two offers), without a word from this side; here is what both must have seen.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.processes import Program, running
from support.servers import serve
from support.waiting import eventually

pytestmark = pytest.mark.java

PROJECT = Path(__file__).parent / "java"
JAR = PROJECT / "target" / "peer.jar"
CANDIDATES = 20

TRANSPORTS = ["polling", "websocket", "polling,websocket"]
"""What an app can ask for; the last is the library's default: it connects by polling, then upgrades."""

IMPATIENT = ["--ping-interval", "2", "--ping-timeout", "4"]
"""How soon the server gives up a silent peer: of one that was between two polls nothing else tells."""


@pytest.fixture(scope="session")
def jar() -> Path:
    """Return the program, built anew only where its sources are newer."""
    sources = [PROJECT / "pom.xml", *PROJECT.glob("src/**/*.java")]
    if not JAR.exists() or JAR.stat().st_mtime < max(each.stat().st_mtime for each in sources):
        built = subprocess.run(
            ["mvn", "-q", "-B", "package"], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stdout + built.stderr
    return JAR


class JavaPeer:
    """What one Java program printed, an array for each thing it saw."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.peer_id = ""

    async def saw(self, name: str, *fragments: str, within: float = 30.0) -> None:
        """Wait for a line of that name with all `fragments`, in any order (org.json keeps none)."""
        parts = "".join(f"(?=.*{re.escape(fragment)})" for fragment in fragments)
        await self.program.line(rf'^\["{name}"{parts}', within)

    @property
    def lines(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.program.output.splitlines() if line.startswith("[")]

    def all(self, name: str) -> list[Any]:
        """Return what came with each line of that name; with ``ack``, pairs of the event and its answer."""
        return [rest[0] if len(rest) == 1 else tuple(rest) for seen, *rest in self.lines if seen == name]

    def acks(self, event: str) -> list[Any]:
        return [answer for name, answer in self.all("ack") if name == event]

    async def answered(self, number: int, within: float = 30.0) -> None:
        """Wait for so many acks of signals."""
        await eventually(
            lambda: self.acks("signal"), lambda acks: len(acks) >= number, lambda: self.program.output, within
        )

    def signals(self, sender: JavaPeer) -> list[Any]:
        return [each["signal"] for each in self.all("signal") if each["fromId"] == sender.peer_id]


@asynccontextmanager
async def java_peer(
    jar: Path, url: str, transports: str, user_id: str, *, then: str = "stay"
) -> AsyncIterator[JavaPeer]:
    """Start a peer and wait until its join is acked."""
    arguments = [url, transports, "patrol", "guard", user_id, then]
    # a small heap and the quick compiler: a virtual machine starts for each peer
    java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m", "-jar"]
    async with running([*java, jar, *arguments]) as program:
        peer = JavaPeer(program)
        await peer.saw("ack", '"join_room"')
        (ack,) = peer.acks("join_room")
        assert ack["ok"] is True, ack
        (socket_id,) = peer.all("connect")
        assert ack["peerId"] == socket_id
        peer.peer_id = socket_id
        yield peer


async def _call_done(one: JavaPeer, other: JavaPeer) -> None:
    """Wait until each has heard the other's last candidate and has had the answer to its own last request."""
    last = f'"candidate:{CANDIDATES - 1} '
    await one.saw("signal", f'"fromId":"{other.peer_id}"', last)
    await other.saw("signal", f'"fromId":"{one.peer_id}"', last)
    for peer in (one, other):
        await peer.answered(CANDIDATES + 2)


def _kinds(signals: list[Any]) -> list[str]:
    """Return ``offer`` or ``answer`` for a description, the number for a candidate."""
    return [
        each["description"]["type"]
        if "description" in each
        else each["candidate"]["candidate"].partition(":")[2].split()[0]
        for each in signals
    ]


def _check_meeting(joiner: JavaPeer, member: JavaPeer) -> bool:
    """Check what two peers were told of one another; returns whether the joiner is the polite one."""
    (seen,) = joiner.all("new_peer")
    polite = seen["polite"]
    assert seen == {
        "peerId": member.peer_id,
        "role": "guard",
        "userId": 7,
        "room": "patrol",
        "polite": polite,
    }
    (ack,) = joiner.acks("join_room")
    assert ack["room"] == "patrol"
    assert ack["peers"] == [{"peerId": member.peer_id, "role": "guard", "userId": 7, "polite": polite}]
    names = [line[0] for line in joiner.lines]
    assert names.index("ack") < names.index("new_peer") < names.index("room_status"), names
    announced = member.all("new_peer")[-1]
    assert (announced["peerId"], announced["polite"]) == (joiner.peer_id, not polite)
    assert isinstance(polite, bool)
    assert polite == (joiner.peer_id > member.peer_id)
    return polite


def _check_call(offering: JavaPeer, answering: JavaPeer) -> None:
    """Check that each heard the other's description, then all its candidates, in order, and nothing else."""
    candidates = [str(number) for number in range(CANDIDATES)]
    assert _kinds(answering.signals(offering)) == ["offer", *candidates]
    assert _kinds(offering.signals(answering)) == ["answer", *candidates]
    assert answering.signals(offering)[0]["description"]["sdp"].endswith("\r\n")


def _check_answers(peer: JavaPeer) -> None:
    """Check the acks of a peer's own signals, and that a mistake with no ack asked for came as an event."""
    # A refusal needs no other node and may overtake the answers to signals that went to one
    *accepted, refused = sorted(peer.acks("signal"), key=lambda ack: not ack["ok"])
    assert accepted == [{"ok": True}] * (1 + CANDIDATES)
    assert (refused["ok"], refused["error"]["code"]) == (False, "invalid_payload"), refused
    (error,) = peer.all("signal_error")
    assert (error["event"], error["code"]) == ("signal", "invalid_payload"), error
    assert peer.all("no_ack") == []


async def call_and_leave(jar: Path, url: str, transports: str) -> None:
    """Let two peers call one another, and one hear the other leave; `url` may have an endpoint's path."""
    async with (
        java_peer(jar, url, transports, "7") as member,
        java_peer(jar, url, transports, "budi", then="leave") as joiner,
    ):
        await _call_done(member, joiner)
        polite = _check_meeting(joiner, member)
        _check_call(*((member, joiner) if polite else (joiner, member)))
        _check_answers(member)
        await joiner.saw("disconnect", "io client disconnect")
        _check_answers(joiner)
        assert {each["peerId"] for each in joiner.all("room_status")[-1]["members"]} == {
            member.peer_id,
            joiner.peer_id,
        }
        await member.saw("room_status", joiner.peer_id)

        await member.saw("peer_disconnected", joiner.peer_id)
        assert member.all("peer_disconnected") == [
            {"peerId": joiner.peer_id, "room": "patrol", "reason": "disconnected"}
        ]
        assert await joiner.program.wait() == 0

        *_, last = transports.split(",")
        await member.saw("transport", last)
        assert member.all("transport") == transports.split(",")


@pytest.mark.promise("The Node server's clients", "The Android library calls, and learns when others leave")
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_two_android_peers_call_and_hear_one_another_leave(jar: Path, transports: str) -> None:
    async with serve() as server:
        await call_and_leave(jar, server.url, transports)


@pytest.mark.promise("The Node server's clients", "The Android library calls, and learns when others leave")
@pytest.mark.parametrize(
    ("transports", "reasons"),
    [
        ("websocket", {"disconnected"}),
        ("polling", {"disconnected", "timeout"}),  # the first if a poll was waiting just then
    ],
)
async def test_an_android_peer_hears_that_another_was_cut(
    jar: Path, transports: str, reasons: set[str]
) -> None:
    async with (
        serve(*IMPATIENT) as server,
        java_peer(jar, server.url, transports, "7") as cut,
        java_peer(jar, server.url, transports, "sari") as stays,
    ):
        await _call_done(cut, stays)
        cut.program.send_signal(signal.SIGKILL)
        await stays.saw("peer_disconnected", cut.peer_id)
        (gone,) = stays.all("peer_disconnected")
        assert gone.pop("reason") in reasons
        assert gone == {"peerId": cut.peer_id, "room": "patrol"}
        await stays.program.line(rf'^\["room_status"(?=.*"{stays.peer_id}")(?!.*"{cut.peer_id}")')
        assert stays.all("disconnect") == []
