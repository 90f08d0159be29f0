"""Who may join which room: `authorize`, and what a fault in it does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from fastapi import FastAPI

from support.servers import hosted
from support.stock import WITHIN, peers
from support.waiting import becomes
from walkie_signal import Identity, Member, Settings, attach


def only_its_own(identity: Identity, room: str) -> bool:
    return room == identity.attributes.get("post")


async def only_its_own_later(identity: Identity, room: str) -> bool:
    await asyncio.sleep(0)
    return only_its_own(identity, room)


@pytest.mark.promise("Hosts", "`authorize` decides on a join, and a refused join changes nothing")
@pytest.mark.parametrize("authorize", [only_its_own, only_its_own_later])
async def test_a_join_that_is_forbidden_changes_nothing(authorize: Any) -> None:
    app = attach(
        FastAPI(),
        authenticate=lambda shown: {"user_id": shown.token, "post": "gate"},
        authorize=authorize,
    )
    async with hosted(app) as url, peers(url, "gate", "gate", auth={"token": "t"}) as (one, two):
        await two.hears("room_status")
        two.heard.clear()
        refused = await one.ask("join_room", {"room": "vault", "userId": "chief", "role": "chief"})
        assert refused["error"]["code"] == "forbidden"
        assert await one.signal(two, "still in the gate") == {"ok": True}
        await two.hears("signal")
        assert [event for event, _ in two.heard if event != "room_status"] == ["signal"]
        assert await app.signaling.rooms() == ["gate"]
        await one.sio.emit("join_room", {"room": "vault"})
        assert (await one.hears("signal_error"))["code"] == "forbidden"


async def test_without_authentication_the_claim_is_what_is_asked_about() -> None:
    asked: list[tuple[Identity, str]] = []

    def authorize(identity: Identity, room: str) -> bool:
        asked.append((identity, room))
        return True

    async with hosted(attach(FastAPI(), authorize=authorize)) as url, peers(url, None) as (peer,):
        await peer.join("gate", userId=7, role="guard")
    assert asked == [(Identity(7, "guard"), "gate")]


async def never_answers(_identity: Identity, _room: str) -> bool:
    await asyncio.Event().wait()
    raise AssertionError


def fails(_identity: Identity, _room: str) -> bool:
    raise KeyError("hunter2")


@pytest.mark.parametrize(
    ("authorize", "logged"), [(fails, "KeyError: 'hunter2'"), (never_answers, "no answer within 0.2 s")]
)
async def test_a_fault_in_it_is_internal_and_logged(
    authorize: Any, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = attach(FastAPI(), authorize=authorize, settings=Settings(callback_timeout=0.2))
    async with hosted(app) as url, peers(url, None) as (peer,):
        answer = await peer.ask("join_room", {"room": "gate"})
        assert answer["error"] == {"code": "internal", "message": "internal error"}
        assert "authorize failed" in caplog.text
        assert logged in caplog.text
        assert await app.signaling.rooms() == []


async def test_a_peer_that_goes_while_it_is_asked_about_never_joins() -> None:
    entered, release = threading.Event(), threading.Event()
    joined: list[Member] = []

    def authorize(identity: Identity, _room: str) -> bool:
        if identity.user_id == "goes":
            entered.set()
            assert release.wait(WITHIN)
        return True

    app = attach(
        FastAPI(), authorize=authorize, on_join=joined.append, settings=Settings(callback_timeout=WITHIN)
    )
    async with hosted(app) as url, peers(url, "gate", None) as (stays, goes):
        await goes.sio.emit("join_room", {"room": "gate", "userId": "goes"})
        await asyncio.to_thread(entered.wait, WITHIN)
        gone = goes.peer_id
        await goes.close()
        await becomes(lambda: app.signaling._node.census().peers, 1)
        release.set()
        assert await stays.signal(stays, 1) == {"ok": True}
        assert [each.peer_id for each in await app.signaling.peers("gate")] == [stays.peer_id]
    assert gone not in [each.peer_id for each in joined]
