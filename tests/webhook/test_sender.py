"""The webhook as facts and a receiver see it: order, bounds, and the end."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.receiver import SECRET, Receiver, Way, receiver
from support.waiting import becomes, in_time
from walkie_signal.core.changes import Member
from walkie_signal.core.facts import EventRefused, Facts, MemberJoined, MemberLeft
from walkie_signal.webhook import outcomes, sender
from walkie_signal.webhook.receiver import Receiver as Place
from walkie_signal.webhook.sender import LEAST_PAUSE, MOST_EACH, Webhook
from walkie_signal.webhook.signing import key_of


class Teller:
    """Facts, a webhook that hears them, and its receiver."""

    def __init__(self, server: Receiver) -> None:
        self.facts = Facts()
        self.server = server
        self.webhook = Webhook(Place.of_url(server.url), [key_of(SECRET)], timeout=2, retry_for=60)
        self.webhook.listen(self.facts)

    def join(self, *numbers: int) -> None:
        for number in numbers:
            self.facts.tell(MemberJoined, Member(f"peer-{number}", "gate", None, None, "n1"))

    def heard(self) -> list[int]:
        return [int(data["peerId"].removeprefix("peer-")) for data in self.server.of("member.joined")]


@asynccontextmanager
async def telling(way: Way = 204) -> AsyncIterator[Teller]:
    async with receiver(way) as server:
        teller = Teller(server)
        yield teller
        await teller.webhook.close(0)


async def test_those_that_wait_go_together_in_order_one_request_at_a_time() -> None:
    async with telling() as teller:
        teller.join(*range(250))
        requests = await teller.server.has(3)
        assert [len(request.events) for request in requests] == [MOST_EACH, MOST_EACH, 50]
        assert teller.heard() == [*range(250)]
        times = [request.at for request in requests]
        assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= LEAST_PAUSE * 0.9
        assert teller.server.most_open == 1
        numbers = [int(event["id"].rpartition("-")[2]) for event in teller.server.events]
        assert numbers == [*range(1, 251)]
        assert [request.webhook_id for request in requests] == [each.events[0]["id"] for each in requests]


async def test_what_peers_cause_one_by_one_makes_at_most_ten_requests_a_second() -> None:
    async with telling() as teller:
        begun = time.monotonic()
        for number in range(100):
            teller.join(number)
            await asyncio.sleep(0.01)  # the pace is the point
        await becomes(teller.heard, [*range(100)])
        assert len(teller.server.requests) <= (time.monotonic() - begun) / LEAST_PAUSE + 1


async def test_when_too_many_wait_the_oldest_go_and_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "MOST_WAITING", 200)
    async with telling("hang") as teller:
        teller.join(0)
        await teller.server.has(1)
        teller.join(*range(1, 1001))
        assert len(teller.webhook._backlog) == 200
        teller.server.way = 204
        await becomes(lambda: len(teller.heard()), 201)
        assert teller.heard() == [0, *range(801, 1001)]
        await teller.webhook.close(2)
    lines = [record.getMessage() for record in caplog.records if "lost" in record.getMessage()]
    assert lines == [
        "webhook: events lost so far: 1, the last ones because: more than may wait",
        "webhook: events lost in all: 800",
    ]


async def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "FIRST_PAUSE", 0.1)
    async with telling() as teller:
        teller.server.ways.append(b"HTTP/1.1 429 X\r\nretry-after: 1\r\n")
        teller.join(1)
        first, second = await teller.server.has(2)
        assert second.at - first.at >= 0.9


async def test_each_try_has_a_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "FIRST_PAUSE", 1.5)
    async with telling() as teller:
        teller.server.ways.extend([500, 500])
        teller.join(1)
        requests = await teller.server.has(3)
        assert len({request.headers["webhook-timestamp"] for request in requests}) > 1
        assert len({request.webhook_id for request in requests}) == 1
        for request in requests:
            request.verify()


async def test_the_end_does_not_wait_for_a_pause_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outcomes, "FIRST_PAUSE", 20.0)
    async with telling() as teller:
        teller.server.ways.append(500)
        teller.join(*range(150))
        await teller.server.has(1)
        await becomes(lambda: teller.webhook._failures, 1)
        begun = time.monotonic()
        await teller.webhook.close(5)
        assert time.monotonic() - begun < 4
        assert teller.heard() == [*range(150)]
    assert "lost" not in caplog.text


async def test_the_end_waits_no_longer_than_it_may_and_counts_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with telling("hang") as teller:
        teller.join(*range(150))
        await teller.server.has(1)
        begun = time.monotonic()
        await teller.webhook.close(0.2)
        assert time.monotonic() - begun < 1
    assert "webhook: events lost in all: 150" in caplog.text


async def test_an_end_that_has_no_time_comes_at_once_in_a_pause_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancellation that comes in the turn in which the pause ends must not be lost."""
    monkeypatch.setattr(outcomes, "FIRST_PAUSE", 20.0)
    async with telling(500) as teller:
        teller.join(1, 2)
        await becomes(lambda: teller.webhook._failures, 1)
        await in_time(teller.webhook.close(0), lambda: "not closed", 1)
    assert "webhook: events lost in all: 2" in caplog.text


async def test_an_end_with_nothing_to_tell_is_at_once() -> None:
    async with telling() as teller:
        await teller.webhook.close(5)
        assert teller.server.requests == []


async def test_an_outage_is_two_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outcomes, "FIRST_PAUSE", 0.01)
    caplog.set_level(logging.INFO, logger="walkie_signal")
    async with telling() as teller:
        teller.server.ways.extend([500, 503, "cut", 429])
        teller.join(1)
        await teller.server.has(5)
        await becomes(lambda: teller.webhook._failures, 0)
        place = teller.server.url.split("/")[2]
    assert [record.getMessage() for record in caplog.records if record.name == "walkie_signal"] == [
        f"webhook: {place} takes no events: it answers 500",
        f"webhook: {place} takes events again",
    ]


async def test_refusals_say_how_many_were_left_out_and_push_out_no_joins() -> None:
    async with telling() as teller:
        for number in range(1000):
            teller.facts.tell(EventRefused, "signal", "rate_limited", f"peer-{number}", "a link")
        teller.join(7)
        teller.facts.tell(MemberLeft, Member("peer-7", "gate", None, None, "n1"), "left")
        await teller.server.hears("member.left", peerId="peer-7")
        assert len(teller.server.of("event.refused")) == 10
        assert teller.heard() == [7]
