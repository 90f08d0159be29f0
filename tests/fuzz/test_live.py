"""Thousands of connections that send anything, beside two peers that do as they should."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from fuzz.attacks import Attack, Piece, attack_of, carry_out
from fuzz.seeds import SEED, for_as_long, numbers
from fuzz.targets import BOTH, Kind, Target, target
from support.peers import RawPeer, raw_peer

INPUTS = 5_000
AT_ONCE = 50
PULSE = 0.02
"""Seconds between two signals of the healthy pair, each way."""

ONCE_FAILED = [
    Attack("websocket", "joined", ((0x81, b'42["echo",' + b"[" * 900 + b"]" * 900 + b"]"),)),
    Attack(
        "websocket", "everywhere", ((0x81, b'42/other,["echo",' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]"),)
    ),
]
"""Attacks that succeeded once: what a failure prints goes here."""

EXPECTED = re.compile(
    r"warning walkie_signal(\.transport)?: (connection (of peer \S+ )?closed: |WebSocket closed with 100[279]: )"
    r"|warning walkie_signal.transport: an event does not fit its handler"
    r"|info walkie_signal"
    r"|warning walkie_signal: (Invalid HTTP request received|Unsupported upgrade request)\."
    r"|warning walkie_signal(\.transport)?: [^:]+: \d+ more such lines were left out in \d+ s$"
    r"|error uvicorn.error: Invalid UTF-8 sequence received from client."
)


class Pair:
    """Two peers in a room of their own that signal to one another all the while."""

    def __init__(self, ann: RawPeer, bob: RawPeer) -> None:
        self._peers = (ann, bob)
        self.over = False
        self.slowest = 0.0
        self.rounds = 0

    async def signal(self) -> None:
        """Signal each way and back, until it is over."""
        while not self.over:
            start = time.monotonic()
            for one, other in (self._peers, self._peers[::-1]):
                ack = await one.ask("signal", {"targetId": other.peer_id, "signal": self.rounds})
                assert ack == {"ok": True}, ack
                heard = await other.event("signal")
                assert heard == {"fromId": one.peer_id, "signal": self.rounds}, heard
            self.rounds += 1
            self.slowest = max(self.slowest, time.monotonic() - start)
            await asyncio.sleep(PULSE)

    def unharmed(self) -> None:
        """They have heard of one another, of nobody else, and missed nothing."""
        ids = {peer.peer_id for peer in self._peers}
        for peer in self._peers:
            told = Counter(name for name, _ in peer.events())
            assert told.keys() <= {"new_peer", "room_status", "signal"}, told
            assert told["signal"] == self.rounds, (told, self.rounds)
            assert {payload["fromId"] for name, payload in peer.events() if name == "signal"} <= ids


@asynccontextmanager
async def healthy_pair(url: str) -> AsyncIterator[Pair]:
    async with raw_peer(url) as ann, raw_peer(url, "polling") as bob:
        await ann.join("healthy")
        await bob.join("healthy")
        pair = Pair(ann, bob)
        signalling = asyncio.create_task(pair.signal())
        try:
            yield pair
        finally:
            pair.over = True
            await signalling
        pair.unharmed()
        await bob.send("1")


class Attackers:
    """Many attacks at once, and which of them were under way when a fault was logged."""

    def __init__(self, aim: Target) -> None:
        self._aim = aim
        self._under_way: set[Attack] = set()
        self._suspects: set[Attack] = set()
        self.faults: list[str] = []
        self.became: Counter[str] = Counter()

    async def attack(self, attacks: Iterable[Attack]) -> None:
        left = iter(attacks)
        await asyncio.gather(*(self._attack_each(left) for _ in range(AT_ONCE)))
        await self._convict()

    async def _attack_each(self, attacks: Iterator[Attack]) -> None:
        for attack in attacks:
            self._under_way.add(attack)
            await self._one(attack)
            if self._aim.has_new_fault():
                self._suspects |= self._under_way
            self._under_way.discard(attack)

    async def _one(self, attack: Attack) -> None:
        try:
            self.became[f"{attack.carrier}: {await carry_out(attack, self._aim.url)}"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be seen with its attack
            self.faults.append(f"{type(error).__name__}: {error}\n    {attack!r},")

    async def _convict(self) -> None:
        """Attack once more with the suspects, one by one, and keep those that a fault follows."""
        for attack in self._suspects:
            if await self._leads_to_a_traceback(attack):
                pieces = await self._shrunk(attack)
                self.faults.append(f"a traceback in the log\n    {attack.without(pieces)!r},")

    async def _leads_to_a_traceback(self, attack: Attack) -> bool:
        with suppress(Exception):
            await carry_out(attack, self._aim.url)
        for _ in range(3):  # by then its log has been read, too
            await self._aim.inside()
        return self._aim.has_new_fault()

    async def _shrunk(self, attack: Attack) -> tuple[Piece, ...]:
        """Leave out whatever pieces it takes none of."""
        pieces = attack.pieces
        for piece in attack.pieces:
            fewer = tuple(each for each in pieces if each is not piece)
            if await self._leads_to_a_traceback(attack.without(fewer)):
                pieces = fewer
        return pieces


@pytest.mark.promise(
    "Bad input",
    "Thousands of connections that send anything at all harm no other peer and leave nothing behind",
)
@BOTH
@for_as_long
async def test_connections_that_send_anything_harm_nobody_and_leave_nothing(
    kind: Kind, tell: Callable[[str], None]
) -> None:
    start = time.monotonic()
    async with target(kind) as aim:
        before = await aim.inside()
        attackers = Attackers(aim)
        async with healthy_pair(aim.url) as pair:
            await attackers.attack(ONCE_FAILED)
            await attackers.attack(attack_of(f"{SEED} live {number}") for number in numbers(INPUTS))
        attacking = time.monotonic() - start
        await aim.settled(before)
        tell(
            f"{sum(attackers.became.values())} attacks in {attacking:.0f} s, nothing left behind after "
            f"{time.monotonic() - start:.0f} s; {pair.rounds} rounds of the healthy pair, the slowest "
            f"{pair.slowest:.2f} s; {dict(attackers.became)}"
        )
        if attackers.faults:
            pytest.fail(f"FUZZ_SEED={SEED}; for ONCE_FAILED:\n" + "\n".join(attackers.faults), pytrace=False)
        unexpected = [line for line in aim.lines() if line.traceback or not EXPECTED.match(line.text)]
        assert not unexpected, unexpected[:10]
        assert attackers.became["websocket: acked"] > INPUTS / 20, "few get as far as an event"
        assert pair.rounds, "the healthy pair never got a turn"
