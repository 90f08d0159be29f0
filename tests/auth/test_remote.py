"""Keys that another server publishes: how often it is asked, and what holds while it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from auth.issuer import EC, OTHER_RSA, RSA, Publisher, jwk, token
from support.servers import hosted
from support.waiting import eventually
from walkie_signal import Credentials, JWTAuth, SignalingError
from walkie_signal.auth import remote
from walkie_signal.auth.remote import AT_MOST_EACH, FRESH, MOST_BYTES
from walkie_signal.errors import CredentialRefused

pytestmark = pytest.mark.promise(
    "Hosts", "Keys of a URL are fetched seldom, and are good while its server is away; a withdrawn key goes"
)


class Site:
    """A `JWTAuth` with the keys of a publisher, and a clock that a test sets."""

    def __init__(self, publisher: Publisher, url: str) -> None:
        self.publisher = publisher
        self.now = 1000.0
        self._auth = JWTAuth(jwks_url=url)
        keys: Any = self._auth._keys
        keys._clock = lambda: self.now

    async def lets_in(self, key: Any = RSA, kid: str | None = "one", algorithm: str = "RS256") -> bool:
        try:
            await self._auth(Credentials(token(key, algorithm, {"kid": kid} if kid else None)))
        except CredentialRefused:
            return False
        return True


@asynccontextmanager
async def published() -> AsyncIterator[Site]:
    publisher = Publisher()
    async with hosted(publisher) as url:
        yield Site(publisher, f"{url}/keys.json")


async def test_it_is_asked_once_for_many_tokens_at_once() -> None:
    async with published() as site:
        assert await asyncio.gather(*(site.lets_in() for _ in range(20))) == [True] * 20
        assert site.publisher.asked == 1


async def test_an_unknown_key_has_the_set_fetched_at_most_once_a_minute() -> None:
    async with published() as site:
        assert await site.lets_in()
        site.publisher.body = site.publisher.of(jwk(RSA, kid="one"), jwk(OTHER_RSA, kid="two"))
        for number in range(20):
            assert not await site.lets_in(OTHER_RSA, f"made up {number}")
        assert site.publisher.asked == 1
        site.now += AT_MOST_EACH
        assert await site.lets_in(OTHER_RSA, "two")
        assert not await site.lets_in(OTHER_RSA, "made up")
        assert site.publisher.asked == 2


@pytest.mark.parametrize("how", ["an error", "nonsense", "no keys", "too long", "a list", "deep"])
async def test_while_it_is_away_nobody_is_refused_whose_key_is_known(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with published() as site:
        assert await site.lets_in()
        bodies = {
            "nonsense": b"{",
            "no keys": site.publisher.of(),
            "too long": b" " * (MOST_BYTES + 1),
            "a list": b"[]",
            "deep": b"[" * 200_000,
        }
        site.publisher.body = bodies.get(how, b"")
        site.publisher.status = 503 if how == "an error" else 200
        for round_ in range(1, 4):
            site.now += AT_MOST_EACH
            assert not await site.lets_in(EC, "unknown", "ES256")
            assert await site.lets_in()
            assert site.publisher.asked == 1 + round_
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert all("the keys of the last time are kept" in line for line in lines)
    assert len(lines) == 3


async def test_a_key_that_was_withdrawn_goes() -> None:
    async with published() as site:
        assert await site.lets_in()
        site.publisher.body = site.publisher.of(jwk(OTHER_RSA, kid="two"))
        site.now += FRESH
        assert not await site.lets_in(), "not even the first one after a long quiet time"
        assert await site.lets_in(OTHER_RSA, "two")
        assert site.publisher.asked == 2


async def test_a_server_that_does_not_end_its_answer_holds_nobody_up_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote, "FETCHED_IN", 0.3)
    async with published() as site:
        site.publisher.gate = asyncio.Event()
        with pytest.raises(SignalingError) as caught:
            await site.lets_in()
        assert caught.value.code == "unavailable"
        site.now += AT_MOST_EACH
        with pytest.raises(SignalingError):
            await site.lets_in()
        site.publisher.gate.set()
        keys: Any = site._auth._keys
        await eventually(lambda: not keys._asks)
        site.now += AT_MOST_EACH
        assert await site.lets_in()
    assert "no token can be verified" in caplog.text


@pytest.mark.parametrize(
    ("where", "told"),
    [("ftp://127.0.0.1:1/keys", "it redirects to ftp"), ("file:///etc/hostname", "it answers 302")],
)
async def test_a_redirect_to_another_kind_of_place_is_not_followed(
    where: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with published() as site:
        site.publisher.status, site.publisher.headers = 302, [(b"location", where.encode())]
        with pytest.raises(SignalingError):
            await site.lets_in()
    assert told in caplog.text


async def test_without_any_keys_yet_nobody_can_be_let_in_and_nobody_is_said_to_be_wrong() -> None:
    async with published() as site:
        site.publisher.status = 500
        for _ in range(3):
            with pytest.raises(SignalingError) as caught:
                await site.lets_in()
            assert caught.value.code == "unavailable"
        assert site.publisher.asked == 1
        site.publisher.status = 200
        site.now += AT_MOST_EACH
        assert await site.lets_in()


async def test_who_gives_up_does_not_end_the_fetch_for_others() -> None:
    async with published() as site:
        site.publisher.gate = asyncio.Event()
        first, second = (asyncio.create_task(site.lets_in()) for _ in range(2))
        await eventually(lambda: site.publisher.asked)
        first.cancel()
        site.publisher.gate.set()
        assert await second
        assert site.publisher.asked == 1
