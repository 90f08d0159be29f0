"""Tokens at a server: who is let in, as whom, into which rooms; and what a refusal leaves in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from auth.issuer import SECRET, token
from support.servers import hosted
from support.stock import TRANSPORTS, peers, refusal
from walkie_signal import JWTAuth, attach

pytestmark = pytest.mark.promise(
    "Hosts",
    "A token's user, role and rooms count, whatever the payload says; the log has the reason of a refusal",
)

SAID = "no valid credential"


@asynccontextmanager
async def guarded() -> AsyncIterator[str]:
    app: Any = attach(_nothing, authenticate=JWTAuth(secret=SECRET))
    async with hosted(app) as url:
        yield url


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_peer_is_who_its_token_says_and_joins_what_it_may(transport: Any) -> None:
    auth = {"token": token(sub=7, role="lead", rooms=["gate", "site-7/*"])}
    async with guarded() as url, peers(url, None, transport=transport, auth=auth) as (peer,):
        ack = await peer.sio.call("join_room", {"room": "gate", "userId": "chief", "role": "owner"})
        assert ack["ok"]
        status = await peer.hears("room_status")
        assert status["members"] == [{"userId": 7, "role": "lead", "peerId": peer.sio.get_sid()}]
        for room in ("yard", "site-71", "gates"):
            refused = await peer.sio.call("join_room", {"room": room})
            assert refused["error"]["code"] == "forbidden"
        assert (await peer.sio.call("leave_room", {"room": "gate"}))["ok"], "a forbidden join moves nobody"
        assert (await peer.sio.call("join_room", {"room": "site-7/yard"}))["ok"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refusal_says_one_thing_to_the_peer_and_another_to_the_log(
    transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shown = {
        "no token": None,
        "the token has expired": token(exp=int(time.time()) - 600),
        "no key that is known has signed the token": token(SECRET[::-1]),
        "the token is malformed": "secret words",
    }
    async with guarded() as url:
        with caplog.at_level(logging.INFO, "walkie_signal"):
            told = [await refusal(url, transport=transport, auth={"token": each}) for each in shown.values()]
    assert told == [{"message": SAID, "data": {"code": "unauthorized", "message": SAID}}] * len(shown)
    lines = [each.getMessage() for each in caplog.records if "connect refused" in each.getMessage()]
    assert lines == [f"connect refused: unauthorized, {why} (from 127.0.0.1)" for why in shown]
    assert not any(each and each in caplog.text for each in shown.values())
