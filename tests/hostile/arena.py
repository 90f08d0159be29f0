"""What has to be so after each attack, and a bystander beside the attacker."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import socketio

from hostile.services import ROOM, InProcess, Kind, Service, service
from support.peers import RawPeer, raw_peer
from support.raw import Frame, Transport
from support.waiting import becomes
from walkie_signal.bounded_log import MOST


class Arena:
    """A service with a well-behaved bystander in `ROOM`.

    Attributes:
        service: What is attacked.
        bystander: A peer that keeps all that it hears.
        expected: How many lines the log should have by now.
    """

    def __init__(self, service: Service, bystander: RawPeer) -> None:
        self.service = service
        self.bystander = bystander
        self.url = service.url
        self.expected = 0
        self._peace = service.state()

    @asynccontextmanager
    async def attack(
        self, what: str = "", *, transport: Transport = "websocket", joined: bool = True, lines: int
    ) -> AsyncIterator[Any]:
        """Let a peer attack; see that nobody else came to harm, and that `lines` were logged."""
        try:
            told = len(self.bystander.events())
            async with raw_peer(self.url, transport) as attacker:
                if joined:
                    await attacker.join(ROOM)
                yield attacker
                if transport == "polling":  # between two polls nothing else tells that it goes
                    await attacker.send("1")
            await self._unharmed(told, attacker.peer_id if joined else None)
            await self.serves_on()
            self.expected += lines
            await becomes(lambda: self._left_out() <= 0 or self._at_the_bound(), expected=True)
            self.quiet()
            await becomes(self.service.state, self._peace, within=2)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error

    async def closes_each(
        self, attacks: Mapping[str, list[Frame]], transport: Transport = "websocket", *, joined: bool = True
    ) -> None:
        """Each of `attacks` closes the connection that it comes on; fails with all that did not."""
        faults = []
        for what, frames in attacks.items():
            try:
                async with self.attack(what, transport=transport, joined=joined, lines=1) as attacker:
                    await attacker.send(*frames)
                    await self.closes(attacker)
            except AssertionError as error:  # noqa: PERF203 - each of them is to be seen
                faults.append(str(error))
                self.expected = len(self.service.lines())
        assert not faults, "\n".join(faults)

    async def closes(self, attacker: RawPeer) -> None:
        """The server closes the attacker's connection; a stock one asks the other side to do it."""
        if isinstance(self.service, InProcess) and type(self.service.sio) is socketio.AsyncServer:
            await attacker.until(lambda frame: frame == "1", "CLOSE", within=1)
        else:
            await attacker.closed(within=1)

    async def _unharmed(self, told: int, attacker: str | None) -> None:
        """The bystander has heard of the attacker's coming and going, and of nothing else."""
        if attacker:
            await self.bystander.until(
                lambda frame: frame.startswith('42["peer_disconnected"') and attacker in frame,
                f"peer_disconnected of {attacker}",
            )
        ack = await self.bystander.ask("signal", {"targetId": self.bystander.peer_id, "signal": 0})
        assert ack == {"ok": True}
        heard = [event for event in self.bystander.events()[told:] if event[0] != "room_status"]
        names = [(name, payload.get("peerId", payload.get("fromId"))) for name, payload in heard]
        own = ("signal", self.bystander.peer_id)
        met = [("new_peer", attacker), ("peer_disconnected", attacker)] if attacker else []
        assert names == [*met, own], heard

    async def serves_on(self) -> None:
        """Two fresh peers find one another, and nobody but the bystander is in its room."""
        async with raw_peer(self.url) as ann, raw_peer(self.url) as bob:
            await ann.join("fresh")
            assert [peer["peerId"] for peer in (await bob.join("fresh"))["peers"]] == [ann.peer_id]
            assert await ann.ask("signal", {"targetId": bob.peer_id, "signal": "hi"}) == {"ok": True}
            assert await bob.event("signal") == {"fromId": ann.peer_id, "signal": "hi"}
            peers = (await ann.join(ROOM))["peers"]
            assert [peer["peerId"] for peer in peers] == [self.bystander.peer_id], "a ghost"
            await ann.ask("leave_room", {})
            await self.bystander.until(
                lambda frame: frame.startswith('42["peer_disconnected"') and ann.peer_id in frame
            )

    def quiet(self) -> None:
        """As many lines have been logged as expected, or the bound on each kind's left some out; no traceback."""
        lines = self.service.lines()
        left_out = self._left_out()
        assert left_out == 0 or (left_out > 0 and self._at_the_bound()), lines
        assert not self.service.faults(), lines

    def _left_out(self) -> int:
        return self.expected - len(self.service.lines())

    def _at_the_bound(self) -> bool:
        """Whether there are as many lines of some kind as there may be in a while."""
        kinds = Counter(line.text.partition(" (")[0] for line in self.service.lines())
        return MOST in kinds.values()


@asynccontextmanager
async def arena(kind: Kind, *arguments: str, **options: Any) -> AsyncIterator[Arena]:
    """Run a server with a bystander in `ROOM`; see at the end that nothing more was logged."""
    async with service(kind, *arguments, **options) as running, raw_peer(running.url) as bystander:
        await bystander.join(ROOM)
        yield (fight := Arena(running, bystander))
        fight.quiet()
