"""The webhook: hears facts, and sends them as signed requests, one after the other."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Sequence
from typing import Any

from walkie_signal.bounded_log import MOST, WINDOW, BoundedLog
from walkie_signal.core.facts import Facts
from walkie_signal.webhook.backlog import Backlog, Waiting, body_of
from walkie_signal.webhook.events import KINDS, text_of
from walkie_signal.webhook.outcomes import Outcome, outcome_of, pause_after
from walkie_signal.webhook.post import Answer, Poster
from walkie_signal.webhook.receiver import Receiver
from walkie_signal.webhook.signing import signed
from walkie_signal.webhook.windows import Windows

log = logging.getLogger("walkie_signal")

MOST_WAITING, BYTES_WAITING = 10_000, 4 << 20
"""Events that wait at most, and their text in bytes: a large fleet comes back once, and that is little memory."""

MOST_EACH, BYTES_EACH = 100, 64 << 10
"""Events of one request at most, and their text in bytes; Express takes bodies of 100 kB, others take more."""

LEAST_PAUSE = 0.1
"""Seconds between two requests, so that peers who come and go can't cause more than ten a second; Pusher
collects events for 0.25 s."""


class Webhook:
    """Tells one receiver what happens on one node.

    Events go in the order in which they happen. The next ones wait until those before them were taken, refused or
    given up; those that wait go together.

    Args:
        receiver: Where they go.
        keys: The keys that each request is signed with.
        timeout: Seconds for one try.
        retry_for: Seconds after its first try in which a request is tried again.
    """

    def __init__(
        self, receiver: Receiver, keys: Sequence[bytes], *, timeout: float, retry_for: float
    ) -> None:
        self._receiver = receiver
        self._keys = keys
        self._retry_for = retry_for
        self._poster = Poster(receiver, timeout)
        self._windows = Windows(MOST, WINDOW)
        self._backlog = Backlog(MOST_WAITING, BYTES_WAITING)
        self._under_way: list[Waiting] = []
        self._number = 0
        self._process = secrets.token_hex(8)
        self._failures = self._lost = 0
        self._lines, self._losses = BoundedLog(log), BoundedLog(log, most=1)
        self._sending: asyncio.Task[None] | None = None
        self._arrived, self._ending = asyncio.Event(), asyncio.Event()

    def listen(self, facts: Facts) -> None:
        """Tell each fact that has a kind of event from now on."""
        for fact in KINDS:
            facts.listen(fact, self._hear)

    async def close(self, within: float) -> None:
        """Send what waits, but for no longer than `within` seconds; the log says how many events were lost."""
        sending, self._sending = self._sending, None
        if sending is None:
            return
        self._ending.set()
        self._arrived.set()
        await asyncio.wait([sending], timeout=within)
        if sending.cancel():
            await asyncio.wait([sending])
        self._lost += len(self._under_way) + len(self._backlog)
        if self._lost:
            log.warning("webhook: events lost in all: %d", self._lost)

    def _hear(self, fact: Any) -> None:
        kind, now = KINDS[type(fact)], time.monotonic()
        data = kind.data(fact)
        if kind.sort is not None:
            left_out = self._windows.admit(f"{kind.type} {kind.sort(fact)}", now)
            if left_out is None:
                return
            data["leftOut"] = left_out
        self._number += 1
        event_id = f"{self._process}-{self._number}"
        dropped = self._backlog.add(Waiting(event_id, text_of(event_id, kind, time.time(), data)))
        if dropped:
            self._lose(dropped, "more than may wait")
        self._arrived.set()
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_on())

    async def _send_on(self) -> None:
        while True:
            await self._arrived.wait()
            self._under_way = self._backlog.take(MOST_EACH, BYTES_EACH)
            if self._under_way:
                pause = await self._deliver(self._under_way)
                self._under_way = []
                await self._rest(pause)
            elif self._ending.is_set():
                return
            else:
                self._arrived.clear()

    async def _deliver(self, events: list[Waiting]) -> float:
        """Try until events were taken, refused or tried for long enough; returns the pause to keep then."""
        body, begun = body_of(events), time.monotonic()
        while True:
            headers = signed(self._keys, events[0].event_id, time.time(), body)
            answer = await self._poster.post(headers, body)
            outcome = outcome_of(answer.status)
            if outcome is Outcome.TAKEN:
                self._succeeded()
                return 0.0 if self._ending.is_set() else LEAST_PAUSE
            pause = self._failed(answer)
            if outcome is Outcome.REFUSED:
                self._lose(len(events), answer.words)
                return pause
            if time.monotonic() + pause > begun + self._retry_for:
                self._lose(len(events), f"tried for {self._retry_for:g} s")
                return pause
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Wait, but no longer than until the end begins; a failure after that is followed by its whole pause."""
        if self._ending.is_set():
            await asyncio.sleep(seconds)
            return
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait([ending], timeout=seconds)  # `wait_for` may swallow a cancellation; see `post`
        finally:
            ending.cancel()

    def _succeeded(self) -> None:
        if self._failures:
            self._failures = 0
            self._lines.write(
                logging.INFO, "webhook: answers", "webhook: %s takes events again", self._receiver
            )

    def _failed(self, answer: Answer) -> float:
        """Record a failure; returns the pause that follows it, in seconds."""
        self._failures += 1
        if self._failures == 1:
            line = "webhook: %s takes no events: %s"
            self._lines.write(logging.WARNING, "webhook: failures", line, self._receiver, answer.words)
        return pause_after(self._failures, random.random(), answer.pause)  # noqa: S311 - no secret

    def _lose(self, number: int, why: str) -> None:
        self._lost += number
        line = "webhook: events lost so far: %d, the last ones because: %s"
        self._losses.write(logging.WARNING, "webhook: losses", line, self._lost, why)
