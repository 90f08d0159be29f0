"""Odd JSON that one peer sends and a stock npm peer would have to read: nobody disconnects another."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette

from support.bare import bare_serve
from support.node import Transports, victim
from support.peers import RawPeer, raw_peer
from support.processes import Program
from support.servers import hosted, serve
from walkie_signal import attach

pytestmark = pytest.mark.node

DIGITS = "7" * 120
CLOSES = {
    "an integer beyond a double's range": "7" * 400,
    "an integer of 5,000 digits": "7" * 5000,
    "1e999": "1e999",
    "-1e999 in a list": "[[-1e999]]",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": '{"a":-Infinity}',
}
CODED = {
    "a high surrogate alone": '"\\ud800"',
    "a low one as a key": '{"\\udc00":1}',
    "a pair that is turned round": '"\\ude00\\ud83d"',
    "nested 500 deep": "[" * 500 + "]" * 500,
}
RELAYED: dict[str, tuple[str, Any]] = {
    "an integer of 120 digits": (DIGITS, float(DIGITS)),
    "a negative one": (f"-{DIGITS}", -float(DIGITS)),
    "many digits behind the point": (f"0.{DIGITS}", float(f"0.{DIGITS}")),
    "negative zero": ("-0", 0),
    "a key twice": ('{"a":1,"a":2}', {"a": 2}),
    "__proto__": ('{"__proto__":{"a":1},"constructor":null}', {"__proto__": {"a": 1}, "constructor": None}),
    "a pair": ('"\\ud83d\\ude00"', "\U0001f600"),
    "NUL and line separators": ('"\\u0000\\u2028\\u2029"', "\0\u2028\u2029"),
    "raw line separators": ('"\u2028\u2029\ufeff"', "\u2028\u2029\ufeff"),
    "a text like a frame": ('"42[\\"signal\\",1]\\u001e41"', '42["signal",1]\x1e41'),
    "a placeholder": ('{"_placeholder":true,"num":0}', {"_placeholder": True, "num": 0}),
    "nested 60 deep": ("[" * 60 + "]" * 60, json.loads("[" * 60 + "]" * 60)),
}


class Victim:
    """The stock peer, and what it printed."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.peer_id = ""

    async def joined(self) -> None:
        self.peer_id = json.loads((await self._program.line('"event":"joined"')).string)["payload"]

    async def signals_up_to(self, mark: str) -> list[Any]:
        """Wait for the signal `mark`; returns all the signals, and fails where the peer was disconnected."""
        await self._program.line(re.escape(f'"signal":{json.dumps(mark)}'))
        heard = [json.loads(line) for line in self._program.output.strip().split("\n")]
        assert [record for record in heard if record["event"] == "disconnect"] == [], mark
        return [record["payload"]["signal"] for record in heard if record["event"] == "signal"]


async def ask_signal(peer: RawPeer, target: str, text: str) -> Any:
    return await peer.ask_text(f'["signal",{{"targetId":"{target}","signal":{text}}}]')


@asynccontextmanager
async def command() -> AsyncIterator[str]:
    async with serve() as serving:
        yield serving.url


@asynccontextmanager
async def command_without_the_extra() -> AsyncIterator[str]:
    async with bare_serve() as serving:
        yield serving.url


def plain_uvicorn() -> AbstractAsyncContextManager[str]:
    return hosted(attach(Starlette()))


@pytest.mark.promise(
    "Bad input", "`NaN`, infinities and odd JSON disconnect no other peer, with and without the extra `fast`"
)
@pytest.mark.parametrize("server", [command, command_without_the_extra, plain_uvicorn])
@pytest.mark.parametrize("transports", ["polling", "websocket"])
async def test_no_odd_json_of_another_disconnects_a_peer(
    transports: Transports, server: Callable[[], AbstractAsyncContextManager[str]]
) -> None:
    """What JavaScript can't read is refused, what it can is relayed; the stock peer lives through it all."""
    async with server() as url, victim(url, transports, "gate") as program:
        stock = Victim(program)
        await stock.joined()
        for what, text in CLOSES.items():
            async with raw_peer(url) as hostile:
                await hostile.join("gate")
                await hostile.send(f'42["signal",{{"targetId":"{stock.peer_id}","signal":{text}}}]')
                await hostile.closed()
            await _goes_on(url, stock, f"closed: {what}")
        async with raw_peer(url) as hostile:
            await hostile.join("gate")
            for what, text in CODED.items():
                ack = await ask_signal(hostile, stock.peer_id, text)
                assert ack["error"]["code"] == "invalid_payload", what
            for what, (text, value) in RELAYED.items():
                assert await ask_signal(hostile, stock.peer_id, text) == {"ok": True}, what
                await ask_signal(hostile, stock.peer_id, json.dumps(f"relayed: {what}"))
                relayed, _ = (await stock.signals_up_to(f"relayed: {what}"))[-2:]
                assert relayed == value, what
        marks = [f"closed: {what}" for what in CLOSES]
        assert (await stock.signals_up_to(marks[-1]))[: len(marks)] == marks, "a refused signal came through"


async def _goes_on(url: str, stock: Victim, mark: str) -> None:
    async with raw_peer(url) as friend:
        await friend.join("gate")
        assert await ask_signal(friend, stock.peer_id, json.dumps(mark)) == {"ok": True}
        await stock.signals_up_to(mark)
