"""No attack by a token gets anybody in, by any door, and each leaves its reason to the operator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from auth.attacks import ATTACKS, AUDIENCE, DOCUMENT, GOOD, VERIFIERS, Attack
from auth.issuer import RSA, SECRET, Publisher, pem
from support.limits import arguments_of, unlimited
from support.servers import Serving, hosted, serve
from support.stock import peers, refusal
from walkie_signal import Credentials, JWTAuth, attach
from walkie_signal.core.facts import ConnectRefused, EventRefused
from walkie_signal.errors import CredentialRefused

pytestmark = pytest.mark.promise(
    "Hosts", "A token is let in exactly if it is valid; else its sender hears one text, whatever was wrong"
)

REFUSED = {"code": "unauthorized", "message": "no valid credential"}

each_server = pytest.mark.parametrize("server", VERIFIERS)


def against(server: str) -> list[Attack]:
    return [each for each in ATTACKS.values() if each.server == server]


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_an_attack_is_refused_for_its_reason(attack: Attack) -> None:
    auth = JWTAuth(**VERIFIERS[attack.server])
    with pytest.raises(CredentialRefused) as refused:
        await auth(Credentials(attack.shown))
    assert refused.value.why == attack.why
    assert refused.value.to_payload() == REFUSED
    assert await auth(Credentials(GOOD[attack.server]))


@each_server
async def test_by_a_connect_and_by_a_refresh(server: str) -> None:
    told: list[str] = []
    app: Any = attach(_nothing, settings=unlimited(), authenticate=JWTAuth(**VERIFIERS[server]))
    app.signaling._node.facts.listen(ConnectRefused, lambda fact: told.append(fact.why))
    app.signaling._node.facts.listen(EventRefused, lambda fact: told.append(fact.why))
    async with hosted(app) as url, peers(url, "gate", auth={"token": GOOD[server]}) as (peer,):
        for shown, why, _ in against(server):
            assert (await refusal(url, auth={"token": shown}))["data"] == REFUSED
            answer = await peer.ask("refresh_token", {"token": shown})
            if isinstance(shown, str):
                assert answer["error"] == REFUSED
            else:
                assert answer["error"]["code"] == "invalid_payload"
            assert told == [f"unauthorized, {why}", why if isinstance(shown, str) else ""], shown
            told.clear()
        assert (await peer.ask("leave_room", {"room": "gate"}))["ok"], "it is where it was"


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


@asynccontextmanager
async def command(server: str, folder: Path) -> AsyncIterator[Serving]:
    """Run ``walkie-signal serve`` as one of the servers that are attacked."""
    async with AsyncExitStack() as stack:
        if server == "secret":
            options = ["--jwt-audience", AUDIENCE]
        elif server == "public key":
            (folder / "key.pem").write_text(pem(RSA))
            options = ["--jwt-public-key", str(folder / "key.pem")]
        else:
            publisher = Publisher(json.dumps(DOCUMENT).encode())
            options = ["--jwt-jwks-url", f"{await stack.enter_async_context(hosted(publisher))}/keys.json"]
        env = {"WALKIE_SIGNAL_JWT_SECRET": SECRET} if server == "secret" else {}
        yield await stack.enter_async_context(serve(*arguments_of(unlimited()), *options, env=env))


@each_server
async def test_at_the_command(server: str, tmp_path: Path) -> None:
    async with (
        command(server, tmp_path) as serving,
        peers(serving.url, "gate", auth={"token": GOOD[server]}) as (peer,),
    ):
        for shown, *_ in against(server):
            assert (await refusal(serving.url, auth={"token": shown}))["data"] == REFUSED
            answer = await peer.ask("refresh_token", {"token": shown})
            assert answer["error"]["code"] == (
                "unauthorized" if isinstance(shown, str) else "invalid_payload"
            )
        async with peers(serving.url, "gate", auth={"token": GOOD[server]}):
            pass
        await serving.program.line(f"connect refused: unauthorized, {against(server)[0].why}")
        refreshed = next(each for each in against(server) if isinstance(each.shown, str))
        await serving.program.line(rf"refresh_token refused: unauthorized, {refreshed.why} \(peer ")
        said = serving.program.output
        assert not [each for each in against(server) if len(str(each.shown)) > 10 and str(each.shown) in said]
        assert SECRET not in said
