"""A user that is revoked at one server: its connections are closed, and its tokens of until then refused."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio

from auth.issuer import SECRET, token
from support.servers import hosted
from support.stock import TRANSPORTS, peers, refusal
from support.waiting import eventually
from walkie_signal import JWTAuth, attach
from walkie_signal.settings import Settings

pytestmark = pytest.mark.promise(
    "Hosts",
    "`revoke` closes a user's connections on all nodes, and refuses each token that was issued before, or that "
    "does not say when",
)
SAID = {"message": "no valid credential", "data": {"code": "unauthorized", "message": "no valid credential"}}


def shown(seconds: float | None = -60, **claims: Any) -> dict[str, Any]:
    """Return a token that was issued so many seconds from now; with ``None`` it does not say when."""
    return {"token": token(iat=None if seconds is None else time.time() + seconds, **claims)}


@asynccontextmanager
async def guarded(**options: Any) -> AsyncIterator[Any]:
    given = {"authenticate": JWTAuth(secret=SECRET), **options}
    app: Any = attach(_nothing, **given)
    async with hosted(app) as url:
        yield url, app.signaling


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_its_connections_are_closed_and_its_tokens_refused(
    transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "walkie_signal")
    async with (
        guarded() as (url, signaling),
        peers(url, "gate", auth=shown(sub="watch")) as (watch,),
        peers(url, "gate", None, transport=transport, auth=shown()) as (one, two),
    ):
        one_id = one.peer_id
        assert await signaling.revoke("guard-7") == 2
        gone = await watch.hears("peer_disconnected", peerId=one_id)
        assert gone["reason"] == "kicked"
        for each in (one, two):
            assert await each.hears("disconnect") == "server disconnect", "a stock client would come back"
        for earlier in (shown(-60), shown(None)):
            assert await refusal(url, transport=transport, auth=earlier) == SAID
        why = (
            "connect refused: unauthorized, the token was issued before its user was revoked (from 127.0.0.1)"
        )
        assert caplog.text.count(why) == 2
        async with peers(url, "gate", transport=transport, auth=shown(1)) as (later,):
            assert await watch.signal(later, 1) == {"ok": True}
        assert await signaling.revoke("guard-7") == 0


async def test_7_and_the_text_are_one_user() -> None:
    async with guarded() as (url, signaling), peers(url, None, auth=shown(sub=7)) as (peer,):
        assert await signaling.revoke("7") == 1
        await peer.hears("disconnect")
        assert await refusal(url, auth=shown(sub=7)) == SAID


async def test_no_earlier_token_is_a_fresh_one() -> None:
    async with guarded() as (url, signaling):
        await signaling.revoke("guard-7")
        async with peers(url, "gate", auth=shown(2)) as (peer,):
            for earlier in (shown(-60), shown(None)):
                answer = await peer.ask("refresh_token", earlier)
                assert answer["error"]["code"] == "unauthorized"
            assert await peer.ask("refresh_token", shown(3)) == {"ok": True}


async def test_a_host_s_own_identity_says_when_it_was_issued() -> None:
    identity = {"user_id": "guard-7", "issued_at": time.time() - 60}
    async with guarded(authenticate=lambda _: dict(identity)) as (url, signaling):
        async with peers(url, "gate") as (peer,):
            assert await signaling.revoke("guard-7") == 1
            await peer.hears("disconnect")
        assert (await refusal(url))["data"]["code"] == "unauthorized"
        identity["issued_at"] = time.time() + 1
        async with peers(url, "gate") as (peer,):
            assert (await peer.ask("leave_room", {}))["ok"]


async def test_a_revocation_is_kept_for_its_time_and_no_longer() -> None:
    settings = Settings(revocations_kept=0.5)
    async with guarded(settings=settings) as (url, signaling):
        await signaling.revoke("guard-7")
        assert await refusal(url, auth=shown()) == SAID

        async def let_in() -> bool:
            try:
                async with peers(url, None, auth=shown()):
                    return True
            except socketio.exceptions.ConnectionError:
                return False

        await eventually(let_in, what="let in again")


async def test_where_nobody_is_authenticated_nobody_can_be_refused() -> None:
    app: Any = attach(_nothing)
    async with hosted(app):
        with pytest.raises(RuntimeError, match="no authenticate"):
            await app.signaling.revoke("guard-7")


async def test_what_is_no_user_id_is_refused() -> None:
    async with guarded() as (_, signaling):
        for wrong in (None, 1.5, True, ["guard-7"]):
            with pytest.raises(ValueError, match="not a user id"):
                await signaling.revoke(wrong)
