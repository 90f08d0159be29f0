"""A user's second connection at one server: let in, let in for the first one, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio

from auth.issuer import LATER, SECRET, token
from support.servers import hosted
from support.stock import TRANSPORTS, StockPeer, peers, refusal
from support.waiting import eventually
from walkie_signal import JWTAuth, SignalingNamespace, attach
from walkie_signal.settings import Settings

pytestmark = pytest.mark.promise(
    "Hosts",
    "By a setting, a user has one connection on all nodes: a second one replaces it (`replaced`) or is refused "
    "(`already_connected`)",
)
GUARD = {"token": token(sub="guard-7", exp=LATER)}
WATCH = {"token": token(sub="watch", exp=LATER)}
STAY_AWAY = "server disconnect"
"""What python-socketio calls it when the server has said DISCONNECT; such a client does not come back by itself."""


@asynccontextmanager
async def guarded(policy: str, **options: Any) -> AsyncIterator[Any]:
    """Run a server; yields its URL and its namespace."""
    settings = Settings(user_connections=policy, status_interval=0)
    given = {"authenticate": JWTAuth(secret=SECRET), **options}
    app: Any = attach(_nothing, settings=settings, **given)
    async with hosted(app) as url:
        yield url, app.signaling


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_second_connection_takes_the_place_of_the_first(transport: Any) -> None:
    async with (
        guarded("replace") as (url, signaling),
        peers(url, "gate", auth=WATCH) as (watch,),
        peers(url, "gate", transport=transport, auth=GUARD) as (first,),
    ):
        first_id = first.peer_id
        async with peers(url, "gate", transport=transport, auth=GUARD) as (second,):
            gone = await watch.hears("peer_disconnected", peerId=first_id)
            assert gone["reason"] == "replaced"
            assert await first.hears("disconnect") == STAY_AWAY
            assert await watch.signal(second, 1) == {"ok": True}
            assert [member.user_id for member in await signaling.peers("gate")] == ["watch", "guard-7"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_second_connection_is_refused_until_the_first_one_is_gone(
    transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded("refuse") as (url, _), peers(url, auth=WATCH):
        async with peers(url, "gate", auth=GUARD) as (first,):
            caplog.set_level("INFO", "walkie_signal")
            refused = await refusal(url, transport=transport, auth=GUARD)
            assert refused["data"]["code"] == "already_connected"
            assert refused["data"]["retryAfterMs"] == 18_000
            assert "connect refused: already_connected (from 127.0.0.1)" in caplog.text
            assert (await first.ask("leave_room", {}))["ok"], "the first one stays"
        async with peers(url, "gate", transport=transport, auth=GUARD) as (again,):
            assert (await again.ask("leave_room", {}))["ok"]


async def test_7_and_the_text_are_one_user() -> None:
    async with guarded("refuse") as (url, _), peers(url, None, auth={"token": token(sub=7)}):
        refused = await refusal(url, auth={"token": token(sub="7")})
        assert refused["data"]["code"] == "already_connected"


async def test_by_default_a_user_has_as_many_connections_as_it_likes() -> None:
    async with guarded("allow") as (url, _), peers(url, "gate", "gate", auth=GUARD) as (one, two):
        assert await one.signal(two, 1) == {"ok": True}


async def test_who_has_no_user_id_is_nobody_s_second_connection() -> None:
    async with (
        guarded("refuse", authenticate=lambda _: {"role": "guest"}) as (url, _),
        peers(url, "gate", "gate") as (one, two),
    ):
        assert await one.signal(two, 1) == {"ok": True}


@pytest.mark.parametrize("policy", ["replace", "refuse"])
async def test_of_many_at_once_exactly_one_lives(policy: str) -> None:
    async with guarded(policy) as (url, signaling):
        connecting = [StockPeer() for _ in range(10)]
        try:
            await asyncio.gather(
                *(each.sio.connect(url, transports=["websocket"], auth=GUARD) for each in connecting),
                return_exceptions=True,
            )
            await eventually(lambda: signaling._node.census().peers, lambda peers: peers == 1)
            await eventually(
                lambda: [each.sio.connected for each in connecting].count(True), lambda n: n == 1
            )
            assert await signaling.send("guard-7", "ring") == 1
        finally:
            await asyncio.gather(*(each.close() for each in connecting))


async def test_the_rooms_of_users_are_nobody_s_rooms() -> None:
    """They are neither listed nor counted nor a way to one another, and nothing of them is left."""
    async with guarded("replace") as (url, signaling):
        async with peers(url, "gate", None, auth=GUARD), peers(url, "yard", auth=WATCH):
            assert await signaling.rooms() == ["yard"]
            census = signaling._node.census()
            assert (census.rooms, census.members, census.listed) == (1, 1, 1)
        await eventually(lambda: signaling.backend._memory._ledger._rooms, lambda rooms: not rooms)
        assert await refusal(url, auth={"token": "x"})
        singles = signaling._node._singles
        kept = (singles._claims, singles._room_of, singles._undecided, singles._joins, singles._tasks)
        await eventually(lambda: [each for each in kept if each], lambda left: not left)


async def test_a_connection_that_ends_while_it_is_asked_who_it_is_holds_no_place() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def authenticate(_credentials: Any) -> dict[str, Any]:
        asked.set()
        await answer.wait()
        return {"user_id": "guard-7"}

    async with guarded("refuse", authenticate=authenticate) as (url, signaling):
        gives_up = StockPeer()
        connecting = asyncio.create_task(gives_up.sio.connect(url, transports=["websocket"]))
        await asyncio.wait_for(asked.wait(), 5)
        connecting.cancel()
        await gives_up.close()
        answer.set()
        await eventually(lambda: signaling._node.census().peers, lambda peers: peers == 0)
        async with peers(url, "gate") as (peer,):
            assert (await peer.ask("leave_room", {}))["ok"]


@pytest.mark.parametrize("policy", ["replace", "refuse"])
async def test_it_holds_on_a_stock_server_too(policy: str) -> None:
    sio = socketio.AsyncServer(async_mode="asgi")
    settings = Settings(user_connections=policy)
    sio.register_namespace(SignalingNamespace(settings=settings, authenticate=JWTAuth(secret=SECRET)))
    async with hosted(socketio.ASGIApp(sio)) as url, peers(url, "gate", auth=GUARD) as (first,):
        if policy == "refuse":
            assert (await refusal(url, auth=GUARD))["data"]["code"] == "already_connected"
            assert (await first.ask("leave_room", {}))["ok"]
        else:
            async with peers(url, "gate", auth=GUARD) as (second,):
                assert await first.hears("disconnect") == STAY_AWAY
                assert (await second.ask("leave_room", {}))["ok"]


def test_a_policy_without_authentication_is_refused() -> None:
    with pytest.raises(ValueError, match="user_connections needs authenticate"):
        attach(_nothing, settings=Settings(user_connections="replace"))
