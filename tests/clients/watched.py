"""Peers on python-socketio's client; what they do and print is said in ``npm/watched.js``."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from typing import Any

import socketio

EAGER = {"reconnection_delay": 0.05, "reconnection_delay_max": 0.05, "randomization_factor": 0}


def write(*line: Any) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Watched:
    """One peer."""

    def __init__(
        self, name: str, url: str, transport: str, tokens: list[str] | None = None, on: Any = None
    ) -> None:
        self._name, self._url, self._transport = name, url, transport
        self._tokens, self._on = tokens or [], on or {}
        self._sio = socketio.AsyncClient(**EAGER)
        for what in ("connect", "disconnect", "signal_error", "token_expired"):
            self._sio.on(what, self._seer_of(what))
        self._sio.on("connect_error", self._refused)

    async def run(self) -> None:
        """Connect, and stay until the connection is closed for good."""
        try:
            await self._sio.connect(self._url, auth=self._auth, transports=[self._transport], retry=True)
        except socketio.exceptions.ConnectionError:
            return
        await self._sio.wait()

    def _auth(self) -> dict[str, str]:
        return (
            {"token": self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]}
            if self._tokens
            else {}
        )

    def _seer_of(self, what: str) -> Any:
        async def saw(*details: Any) -> None:
            await self._saw(what, *details)

        return saw

    async def _refused(self, why: Any) -> None:
        refusal = why if isinstance(why, dict) else {"message": str(why)}
        await self._saw("connect_error", refusal.get("data"), refusal["message"])

    async def _saw(self, what: str, *details: Any) -> None:
        write(self._name, what, *details)
        for each in self._on.pop(what, []):
            event, payload = each["emit"]
            acked = partial(write, self._name, "ack", event) if each.get("ack") else None
            for _ in range(each.get("times", 1)):
                await self._sio.emit(event, payload, callback=acked)


async def main(peers: str) -> None:
    """Run all peers until this program is killed."""
    await asyncio.gather(*(Watched(**peer).run() for peer in json.loads(peers)))
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
