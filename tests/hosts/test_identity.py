"""Who a peer is: what `authenticate` is shown, what it may return, and what comes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import socketio
from fastapi import FastAPI

from hosts.ways import SERVERS, WAYS
from support.servers import hosted
from support.stock import TRANSPORTS, WITHIN, peers, refusal
from walkie_signal import Credentials, Identity, Settings, SignalingError, SignalingNamespace, attach

GUARDS: dict[str, dict[str, Any]] = {
    "t-7": {"user_id": 7, "role": "guard", "post": "gate"},
    "t-x": {"user_id": "x"},
}


def look_up(credentials: Credentials) -> dict[str, Any] | None:
    return GUARDS.get(credentials.token or "")


async def look_up_later(credentials: Credentials) -> Identity | None:
    await asyncio.sleep(0)
    found = look_up(credentials)
    return None if found is None else Identity.from_mapping(found)


class LookUp:
    """A callable object, as a class with a database would be."""

    async def __call__(self, credentials: Credentials) -> dict[str, Any] | None:
        return look_up(credentials)


@pytest.mark.promise(
    "Hosts",
    "The verified identity counts, not the payload; a function that is not async does not block the loop",
)
@pytest.mark.parametrize(
    ("way", "authenticate"),
    [
        *((way, look_up) for way in WAYS.values()),
        *((WAYS["attach"], each) for each in (look_up_later, LookUp(), partial(look_up_later))),
    ],
)
async def test_the_identity_overrides_what_the_payload_says(way: Any, authenticate: Any) -> None:
    async with (
        hosted(way(FastAPI(), "/socket.io", authenticate=authenticate)) as url,
        peers(url, None, auth={"token": "t-7"}) as (guard,),
        peers(url, None, auth={"token": "t-x"}) as (other,),
    ):
        await guard.join("gate", role="admin", userId=1)
        ack = await other.join("gate", role="admin", userId=7)
        assert [(each["role"], each["userId"]) for each in ack["peers"]] == [("guard", 7)]
        told = await guard.hears("new_peer", peerId=other.peer_id)
        assert (told["userId"], "role" in told) == ("x", False)


@pytest.mark.promise("Hosts", "Credentials have the token from `auth`, query or header, and the real address")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_where_a_token_is_found(transport: str) -> None:
    """In Socket.IO's auth first, then in the query, then in the header."""
    seen: list[Credentials] = []

    def authenticate(credentials: Credentials) -> Identity:
        seen.append(credentials)
        return Identity()

    header = {"Authorization": "bearer from-header", "X-Device": "phone"}
    async with hosted(attach(FastAPI(), authenticate=authenticate)) as url:
        query = url + "/?token=from-query&device=a%20b"
        shown: list[tuple[str, dict[str, Any]]] = [
            (query, {"auth": {"token": "from-auth", "build": 3}, "headers": header}),
            (query, {"headers": header}),
            (url, {"headers": header}),
            (url, {"auth": {"token": 5}}),
            (url, {"headers": {"Authorization": "Basic dTpw"}}),
        ]
        for asked, connecting in shown:
            async with peers(asked, None, transport=transport, **connecting):
                pass
    assert [each.token for each in seen] == ["from-auth", "from-query", "from-header", None, None]
    first = seen[0]
    assert first.auth == {"token": "from-auth", "build": 3}
    assert (first.headers["x-device"], first.query["device"]) == ("phone", "a b")
    assert (first.headers["authorization"], first.client) == ("bearer from-header", "127.0.0.1")
    assert "from-" not in repr(first)


@pytest.mark.promise(
    "Hosts",
    "The verified identity counts, not the payload; a function that is not async does not block the loop",
)
async def test_a_sync_function_does_not_block_the_loop() -> None:
    """Somebody's look-up waits for a database; others' events go on meanwhile."""
    entered, release = threading.Event(), threading.Event()

    def authenticate(credentials: Credentials) -> Identity:
        if credentials.token == "slow":
            entered.set()
            assert release.wait(WITHIN)
        return Identity(credentials.token)

    app = attach(FastAPI(), authenticate=authenticate, settings=Settings(callback_timeout=WITHIN))
    async with hosted(app) as url, peers(url, "gate", auth={"token": "quick"}) as (quick,):

        async def late() -> None:
            async with peers(url, "gate", auth={"token": "slow"}):
                pass

        waiting = asyncio.create_task(late())
        await asyncio.to_thread(entered.wait, WITHIN)
        assert await quick.signal(quick, "meanwhile") == {"ok": True}
        release.set()
        await waiting
        await quick.hears("peer_disconnected")


def fails(_credentials: Credentials) -> Identity:
    raise RuntimeError("the database is away, password=hunter2")


async def never_answers(_credentials: Credentials) -> Identity:
    await asyncio.Event().wait()
    raise AssertionError


def returns_nonsense(_credentials: Credentials) -> Any:
    return True


def returns_a_wrong_id(_credentials: Credentials) -> Any:
    return {"user_id": 1.5}


def refuses_with_a_code(_credentials: Credentials) -> Identity:
    raise SignalingError("unavailable", "try again", retryAfterMs=2000)


@pytest.mark.parametrize(
    ("authenticate", "code", "logged", "transport"),
    [
        (look_up, "unauthorized", "", "polling"),
        (look_up_later, "unauthorized", "", "websocket"),
        (fails, "internal", "the database is away", "polling"),
        (fails, "internal", "the database is away", "websocket"),
        (never_answers, "internal", "no answer within 0.2 s", "websocket"),
        (returns_nonsense, "internal", "it returned bool", "websocket"),
        (returns_a_wrong_id, "internal", "user_id is neither", "websocket"),
        (refuses_with_a_code, "unavailable", "", "websocket"),
    ],
)
async def test_who_is_refused_is_told_a_code_and_no_more(
    authenticate: Callable[..., Any],
    code: str,
    logged: str,
    transport: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = attach(FastAPI(), authenticate=authenticate, settings=Settings(callback_timeout=0.2))
    async with hosted(app) as url:
        refused = await refusal(url, transport=transport, auth={"token": "wrong"})
        assert refused["data"]["code"] == code
        assert refused["message"] == refused["data"]["message"]
        assert "hunter2" not in str(refused)
        assert logged in caplog.text
        assert bool(logged) == ("ERROR" in {each.levelname for each in caplog.records})
        assert list(app.sio.manager.get_participants("/", None)) == []


@pytest.mark.parametrize("make", [*SERVERS.values()], ids=[*SERVERS])
async def test_a_server_of_the_hosts_refuses_with_the_same_code(make: Callable[..., Any]) -> None:
    sio = make()
    sio.register_namespace(SignalingNamespace(authenticate=look_up))
    async with hosted(socketio.ASGIApp(sio)) as url:
        assert (await refusal(url))["data"]["code"] == "unauthorized"
