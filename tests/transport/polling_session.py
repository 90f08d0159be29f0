"""A polling session with the methods of `transport.raw.RawSocket`, for cases that run on either."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transport.raw import WITHIN, Raw, Session

SEPARATOR = "\x1e"


class PollingSession(Session):
    """A session whose packets are the test's business, sent by POST and received by GET."""

    def __init__(self, client: Raw, sid: str) -> None:
        super().__init__()
        self._client = client
        self._sid = sid
        self._unread: list[str] = []
        self._posted = 200

    async def send(self, *frames: str | bytes) -> None:
        packets = ["b" + base64.b64encode(f).decode() if isinstance(f, bytes) else f for f in frames]
        self._posted = (await self._client.post(self._sid, SEPARATOR.join(packets))).status_code

    async def receive(self, within: float = WITHIN) -> str | bytes:
        """Return the next packet."""
        if not self._unread:
            answer = await self._client.get(self._sid, within)
            assert answer.status_code == 200, (answer.text, self.seen)
            self._unread = answer.text.split(SEPARATOR)
        packet = self._unread.pop(0)
        frame = base64.b64decode(packet[1:]) if packet[:1] == "b" else packet
        self.seen.append(frame)
        return frame

    async def closed(self, within: float = WITHIN) -> int:
        """Wait for the server to close; returns the status that the last POST was answered with."""
        posted = self._posted
        try:
            await asyncio.wait_for(self._poll_to_the_end(), within)
        except asyncio.TimeoutError:
            raise AssertionError(f"not closed within {within} s; received {self.seen}") from None
        return posted

    async def _poll_to_the_end(self) -> None:
        while (answer := await self._client.get(self._sid)).status_code == 200:
            packets = answer.text.split(SEPARATOR)
            self.seen += packets
            if "2" in packets:
                await self._client.post(self._sid, "3")


@asynccontextmanager
async def polling(client: Raw) -> AsyncIterator[PollingSession]:
    """Open a session; it is closed at the end."""
    session = PollingSession(client, (await client.open())["sid"])
    yield session
    await session.send("1")
