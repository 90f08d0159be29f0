"""A token that ends in mid-connection: the peer is told, and closed unless it shows a fresh one."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from auth.issuer import SECRET, token
from support.servers import hosted
from support.stock import StockPeer, peers
from support.waiting import eventually
from walkie_signal import JWTAuth, attach
from walkie_signal.bounded_log import MOST
from walkie_signal.node import parting

pytestmark = pytest.mark.promise(
    "Hosts",
    "When its token ends, a peer is told, and closed within 5 s unless it has sent a fresh one, whose claims count "
    "from then on",
)

SUSPECT = "too many bad credentials from this address"

SOON = 1.2
"""Seconds until a token ends, which has whole seconds, and the leeway is none here."""


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


@asynccontextmanager
async def guarded() -> AsyncIterator[str]:
    app: Any = attach(_nothing, authenticate=JWTAuth(secret=SECRET, leeway=0))
    async with hosted(app) as url:
        yield url


def ending(**claims: Any) -> dict[str, Any]:
    return {"token": token(exp=time.time() + SOON, **claims)}


async def refreshed(peer: StockPeer, **claims: Any) -> Any:
    return await peer.sio.call("refresh_token", {"token": token(**claims)})


async def test_a_peer_whose_token_ends_is_told_and_closed() -> None:
    async with guarded() as url, peers(url, "gate", auth={"token": token()}) as (stays,):
        async with peers(url, "gate", auth=ending()) as (goes,):
            ends_at = time.monotonic() + SOON
            assert await goes.hears("token_expired") == {"graceMs": round(parting.GRACE * 1000)}
            assert time.monotonic() > ends_at - 0.5
            gone = await stays.hears("peer_disconnected", peerId=goes.peer_id)
            assert gone["reason"] == "expired"
            assert time.monotonic() < ends_at + 5.5
            await goes.hears("disconnect")
        assert (await stays.sio.call("leave_room", {}))["ok"]


async def test_a_fresh_token_keeps_the_peer_where_it_is_and_its_claims_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parting, "GRACE", 0.3)
    async with (
        guarded() as url,
        peers(url, "gate", auth={"token": token(sub="watches")}) as (watches,),
        peers(url, "gate", auth=ending(rooms=["gate", "yard"])) as (peer,),
        peers(url, "gate", auth=ending(sub="another")) as (another,),
    ):
        await peer.hears("token_expired")
        assert await refreshed(peer, rooms=["gate"]) == {"ok": True}
        await another.hears(
            "disconnect"
        )  # whose token ended later, so this one would have been closed by now
        assert await watches.signal(peer, 1) == {"ok": True}
        refused = await peer.sio.call("join_room", {"room": "yard"})
        assert refused["error"]["code"] == "forbidden"
        assert await refreshed(peer, rooms=["yard"]) == {"ok": True}
        gone = await watches.hears("peer_disconnected", peerId=peer.peer_id)
        assert gone["reason"] == "left"
        assert (await peer.sio.call("join_room", {"room": "yard"}))["ok"]


async def test_the_token_that_has_ended_is_no_fresh_one() -> None:
    """Not even within the leeway, in which it would be let in."""
    app: Any = attach(_nothing, authenticate=JWTAuth(secret=SECRET, leeway=60))
    async with hosted(app) as url, peers(url, "gate", auth=(shown := ending())) as (peer,):
        await peer.hears("token_expired")
        answer = await peer.sio.call("refresh_token", shown)
        assert answer["error"]["code"] == "unauthorized"
        await peer.hears("disconnect")


async def test_a_token_that_does_not_do_changes_nothing() -> None:
    async with guarded() as url, peers(url, "gate", auth={"token": token(rooms=["gate"])}) as (peer,):
        for shown in (token(sub="somebody else"), token(exp=time.time() - 60), token(SECRET[::-1]), "x", ""):
            answer = await peer.sio.call("refresh_token", {"token": shown})
            assert answer["error"] == {"code": "unauthorized", "message": "no valid credential"}
        wrong: list[Any] = [{}, {"token": 7}, {"token": None}, []]
        for payload in wrong:
            answer = await peer.sio.call("refresh_token", payload)
            assert answer["error"]["code"] == "invalid_payload"
        assert (await peer.sio.call("join_room", {"room": "yard"}))["error"]["code"] == "forbidden"
        assert (await peer.sio.call("join_room", {"room": "gate"}))["ok"]


@pytest.mark.promise(
    "Hosts",
    "A token's user, role and rooms count, whatever the payload says; the log has the reason of a refusal",
)
async def test_the_log_says_why_a_fresh_token_was_refused_in_a_bounded_number_of_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown = {
        "the token is another user's": token(sub="chief"),
        "the token has expired": token(exp=time.time() - 60),
        "no key that is known has signed the token": token(SECRET[::-1]),
        "the token is malformed": "secret words",
    }
    async with guarded() as url, peers(url, "gate", auth={"token": token()}) as (peer,):
        with caplog.at_level(logging.INFO, "walkie_signal"):
            for each in [*shown.values(), *["secret words"] * 50]:
                await peer.sio.call("refresh_token", {"token": each})
        lines = [line for each in caplog.records if "refresh_token" in (line := each.getMessage())]
        told = [f"refresh_token refused: unauthorized, {why} (peer {peer.peer_id}, " for why in shown]
        assert [line[: len(start)] for line, start in zip(lines, told, strict=False)] == told
        told_of = {why: sum(f"unauthorized, {why} (" in line for line in lines) for why in [*shown, SUSPECT]}
        assert all(1 <= count <= MOST for count in told_of.values()), told_of
        assert told_of[SUSPECT] == 1
        assert sum(told_of.values()) == len(lines)
    assert not any(each in caplog.text for each in shown.values())


async def test_what_is_to_come_is_forgotten_with_the_peer() -> None:
    app: Any = attach(_nothing, authenticate=JWTAuth(secret=SECRET, leeway=0))
    async with hosted(app) as url:
        wheel = app.signaling._node._clock._wheel
        async with peers(url, "gate", auth={"token": token()}):
            assert len(wheel) > 0
        await eventually(lambda: len(wheel), lambda left: left == 0)


async def test_where_nobody_is_authenticated_there_is_nothing_to_refresh() -> None:
    async with hosted(attach(_nothing)) as url, peers(url, "gate") as (peer,):
        assert await refreshed(peer) == {"ok": True}


async def test_a_host_s_own_identity_ends_too() -> None:
    def authenticate(_credentials: Any) -> dict[str, Any]:
        return {"user_id": 7, "expires_at": time.time() + 0.3}

    async with hosted(attach(_nothing, authenticate=authenticate)) as url, peers(url, "gate") as (peer,):
        await peer.hears("token_expired")
