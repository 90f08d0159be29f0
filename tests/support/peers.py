"""A raw peer: it says whatever a client may or must not, and keeps all that it was told, with its time.

It is a raw connection on which somebody listens, so that its pings are answered while a test does something else.
It is light enough for hundreds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from support.raw import CUT, EndedError, Frame, RawPolling, Session, Transport, raw
from support.waiting import WITHIN, Arrivals, eventually, in_time

SHOWN, LONG = 60, 300
"""How many of the last frames a test that fails shows, and how many characters of each."""


class Told(NamedTuple):
    """An event that a peer got, and when."""

    at: float
    event: str
    arguments: list[Any]

    @property
    def data(self) -> Any:
        return self.arguments[0] if self.arguments else None


class Acked(NamedTuple):
    """The arguments of an ack, and how many frames had come with it."""

    arguments: list[Any]
    frames: int


class RawPeer:
    """One connection.

    Attributes:
        session: What it sends and receives on.
        url: The server that it is connected to.
        handshake: The data of the OPEN packet.
        peer_id: The Socket.IO sid, once `connect` has got one.
        pongs: Whether pings are answered.
        room: The room that it has joined last.
        heard: Every frame that came after the OPEN packet, in order, including pings.
        told: The events among them.
        entered: How many of these came before the ack of its last join.
    """

    def __init__(self, session: Session, handshake: dict[str, Any], url: str) -> None:
        self.session: Any = session
        self.url = url
        self.handshake = handshake
        self.peer_id = ""
        self.pongs = True
        self.room = ""
        self.heard: list[Frame] = []
        self.told: list[Told] = []
        self.entered = 0
        self._times: list[float] = []
        self._read = 0
        self._calls = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Acked]] = {}
        self._arrivals = Arrivals(self.history)
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    # Out

    async def send(self, *frames: Frame) -> None:
        """Send frames (by polling in one POST); if the connection has ended, do nothing."""
        await self.session.send(*frames)

    async def connect(self, auth: Any = None) -> dict[str, Any]:
        """Join the default namespace; returns the server's answer."""
        await self.send("40" if auth is None else f"40{json.dumps(auth)}")
        answer = await self.until(lambda frame: frame[:2] in ("40", "44"), "answer to CONNECT")
        told: dict[str, Any] = json.loads(answer[2:])
        self.peer_id = told.get("sid", "")
        return told

    async def emit(self, *event: Any) -> None:
        """Send an event that asks for no ack."""
        await self.send(f"42{json.dumps(event)}")

    async def begin(self, *event: Any) -> asyncio.Future[Acked]:
        """Send an event that asks for an ack; `answer` waits for that."""
        return await self.begin_text(json.dumps(event))

    async def begin_text(self, text: str) -> asyncio.Future[Acked]:
        """Do the same as `begin`, but with a text that is, or should be, JSON."""
        number = next(self._calls)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        await self.send(f"42{number}{text}")
        return asked

    async def answer(self, asked: asyncio.Future[Acked], what: str, within: float = WITHIN) -> Any:
        """Wait for the ack of what was begun; returns its argument. Later waits look for what comes behind it."""
        either: set[asyncio.Future[Any]] = {asked, self._ended}
        first = asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        await in_time(first, lambda: f"no ack of {what}; {self.history()}", within)
        assert asked.done(), f"closed before the ack of {what}; {self.history()}"
        self._read = max(self._read, asked.result().frames)
        (argument,) = asked.result().arguments
        return argument

    async def ask(self, *event: Any, within: float = WITHIN) -> Any:
        """Send an event that asks for an ack; returns the ack's argument."""
        return await self.ask_text(json.dumps(event), within)

    async def ask_text(self, text: str, within: float = WITHIN) -> Any:
        """Do the same as `ask`, but with a text that is, or should be, JSON."""
        return await self.answer(await self.begin_text(text), text[:LONG], within)

    async def enter(self, room: str, within: float = WITHIN, **claims: Any) -> Any:
        """Join a room, or try to; returns the ack."""
        ack = await self.ask("join_room", {"room": room, **claims}, within=within)
        if ack["ok"]:
            self.room = room
        return ack

    async def enter_at_last(self, room: str, within: float = WITHIN) -> Any:
        """Join a room, again for as long as the answer is `unavailable`, as a phone does too."""

        def entered(ack: Any) -> bool:
            assert ack["ok"] or ack["error"]["code"] == "unavailable", ack
            return bool(ack["ok"])

        return await eventually(lambda: self.enter(room, within), entered, "joined", within=within)

    async def join(self, room: str, **claims: Any) -> dict[str, Any]:
        """Join a room, and first the namespace if that was not done yet; returns the ack."""
        if not self.peer_id:
            await self.connect()
        ack: dict[str, Any] = await self.enter(room, **claims)
        assert ack["ok"] is True, ack
        return ack

    async def signal(self, target: RawPeer | str, value: Any, within: float = WITHIN) -> Any:
        """Send a signal; returns the ack."""
        target_id = target if isinstance(target, str) else target.peer_id
        return await self.ask("signal", {"targetId": target_id, "signal": value}, within=within)

    # In: what comes next

    async def until(
        self, accepts: Callable[[str], bool], what: str = "such frame", within: float = WITHIN
    ) -> str:
        """Wait for a text frame that `accepts` takes, behind the one that was waited for last."""
        found: list[str] = []

        def search() -> bool:
            while self._read < len(self.heard) and not found:
                frame = self.heard[self._read]
                self._read += 1
                if isinstance(frame, str) and accepts(frame):
                    found.append(frame)
            return bool(found) or self._ended.done()

        await self._arrivals.until(search, what, within)
        assert found, f"closed before {what}; {self.history()}"
        return found[0]

    async def acked(self, ack_id: int) -> Any:
        """Wait for an ack; returns its argument."""
        head = f"43{ack_id}["
        frame = await self.until(lambda frame: frame.startswith(head), f"ack {ack_id}")
        (argument,) = json.loads(frame[len(head) - 1 :])
        return argument

    async def event(self, name: str, within: float = WITHIN) -> Any:
        """Wait for an event; returns its first argument."""
        head = f'42["{name}",'
        frame = await self.until(lambda frame: frame.startswith(head), f"event {name}", within)
        return json.loads(frame[2:])[1]

    async def closed(self, within: float = 1.0) -> int:
        """Wait for the server to close; returns a WebSocket's close code, or the HTTP status of a poll."""
        return await in_time(asyncio.shield(self._ended), lambda: f"not closed; {self.history()}", within)

    @property
    def is_open(self) -> bool:
        return not self._ended.done()

    # In: all that has come

    def events(self) -> list[list[Any]]:
        """Return the events that came so far, each with its name and its arguments."""
        return [[each.event, *each.arguments] for each in self.told]

    def all(self, event: str, **having: Any) -> list[dict[str, Any]]:
        """Return the payloads of an event with these values in it."""
        return [
            each.data for each in self.told if each.event == event and having.items() <= each.data.items()
        ]

    def counted(self, event: str, room: str, **having: Any) -> Counter[str]:
        """Count the events about each peer in a room."""
        return Counter(each["peerId"] for each in self.all(event, room=room, **having))

    def roster(self) -> list[str]:
        """Return who is in the room, as the last ``room_status`` said."""
        rosters = self.all("room_status", room=self.room)
        return [member["peerId"] for member in rosters[-1]["members"]] if rosters else []

    async def holds(self, condition: Callable[[], object], what: str, within: float = WITHIN) -> None:
        """Wait until a condition on what it was told holds."""
        await self._arrivals.until(condition, what, within)

    async def hears(self, event: str, within: float = WITHIN, **having: Any) -> dict[str, Any]:
        """Wait for an event with these values in it, which may have come already; returns its payload."""
        await self.holds(lambda: self.all(event, **having), f"{event} with {having}", within)
        return self.all(event, **having)[0]

    async def sees(self, members: Iterable[str], within: float = WITHIN) -> None:
        """Wait until the last ``room_status`` lists just these."""
        expected = sorted(members)
        await self.holds(lambda: sorted(self.roster()) == expected, f"room_status of {expected}", within)

    def history(self) -> str:
        """Return what came, for a test that fails."""
        now = time.monotonic()
        last = list(zip(self._times, self.heard, strict=True))[-SHOWN:]
        lines = (f"{at - now:8.2f} s {frame[:LONG]!r}" for at, frame in last)
        return "\n".join([f"{self.peer_id} on {self.url} in {self.room!r} heard:", *lines])

    # Listening

    async def _listen(self) -> None:
        try:
            while True:
                frame = await self.session.read()
                if frame == "2" and self.pongs:
                    await self.send("3")
                if frame != "6":
                    self._hear(frame)
        except EndedError as ended:
            self._end(ended.code)

    def _hear(self, frame: Frame) -> None:
        self.heard.append(frame)
        self._times.append(time.monotonic())
        if isinstance(frame, str) and frame.startswith("42["):
            event, *arguments = json.loads(frame[2:])
            self.told.append(Told(self._times[-1], event, arguments))
        elif isinstance(frame, str) and frame.startswith("43"):
            number, _, arguments = frame[2:].partition("[")
            self._hear_ack(int(number), json.loads(f"[{arguments}"))
        self._arrivals.grew()

    def _hear_ack(self, number: int, arguments: list[Any]) -> None:
        if arguments and isinstance(arguments[0], dict) and "room" in arguments[0]:
            self.entered = len(self.told)
        if (asked := self._asked.pop(number, None)) and not asked.done():
            asked.set_result(Acked(arguments, len(self.heard)))

    async def pause(self) -> None:
        """Read nothing any more."""
        self._listening.cancel()
        await asyncio.wait([self._listening])

    def resume(self) -> None:
        """Read again."""
        self._listening = asyncio.create_task(self._listen())

    # The end

    async def abort(self) -> None:
        """Disappear without a close, like a phone in a lift."""
        self.session.abort()
        self._end(CUT)
        await self.closed()

    async def close(self) -> None:
        """End what it does in the background; a fault that came up there is raised."""
        await self.pause()
        if not self._listening.cancelled():
            self._listening.result()

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)
        self._arrivals.grew()


@asynccontextmanager
async def raw_peer(
    url: str, transport: Transport = "websocket", *, headers: Mapping[str, str] | None = None
) -> AsyncIterator[RawPeer]:
    """Open a session on a server, with a peer that has joined nothing yet.

    At the end a WebSocket is closed, and a session that polls is left alone.
    """
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(raw(f"{url}/socket.io/", headers))
        session: Session
        if transport == "polling":
            handshake = await made.open()
            session = RawPolling(made, handshake["sid"])
        else:
            lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
            session = await stack.enter_async_context(made.websocket(lines=lines))
            handshake = json.loads(str(await session.receive())[1:])
        peer = RawPeer(session, handshake, url)
        stack.push_async_callback(peer.close)
        yield peer
