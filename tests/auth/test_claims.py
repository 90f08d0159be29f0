"""What the claims of a token say of the radio, and how long the names in them may be."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from auth.issuer import SECRET, token
from support.servers import hosted
from support.stock import peers, refusal
from walkie_signal import Credentials, Identity, JWTAuth, Settings, attach
from walkie_signal.core.identity import RIGHTS
from walkie_signal.errors import CredentialRefused

URL = "https://issuer.example/"


async def let_in(shown: str, **more: Any) -> Identity:
    return await JWTAuth(secret=SECRET, **more)(Credentials(shown))


def radio_of(identity: Identity) -> dict[str, Any]:
    return {name: getattr(identity, name) for name in ("priority", *RIGHTS)}


NOTHING_SAID = radio_of(Identity())
ALL_SAID: dict[str, Any] = {"priority": 200, **dict.fromkeys(RIGHTS, True), "speak": False}


@pytest.mark.promise(
    "Hosts", "What a token or a host says of the radio is typed, and a value of another type is refused"
)
async def test_a_token_says_what_its_peer_may_do_on_the_radio() -> None:
    assert radio_of(await let_in(token())) == NOTHING_SAID
    assert radio_of(await let_in(token(**ALL_SAID))) == ALL_SAID
    assert (await let_in(token(priority=7.0))).priority == 7


@pytest.mark.promise(
    "Hosts", "What a token or a host says of the radio is typed, and a value of another type is refused"
)
async def test_its_claims_may_have_other_names() -> None:
    prefixed = {f"{URL}{name}": value for name, value in ALL_SAID.items()}
    assert radio_of(await let_in(token(**prefixed), radio_prefix=URL)) == ALL_SAID
    assert radio_of(await let_in(token(**prefixed))) == NOTHING_SAID
    assert radio_of(await let_in(token(priority="high", speak=0), radio_prefix=URL)) == NOTHING_SAID


@pytest.mark.promise(
    "Hosts", "What a token or a host says of the radio is typed, and a value of another type is refused"
)
@pytest.mark.parametrize("value", [True, False, "7", 7.5, -1, 256, 10**400, [7], {}])
async def test_a_priority_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(CredentialRefused) as refused:
        await let_in(token(priority=value))
    assert refused.value.why == "the token has a priority that is no integer from 0 to 255"


@pytest.mark.promise(
    "Hosts", "What a token or a host says of the radio is typed, and a value of another type is refused"
)
@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("value", [0, 1, "true", "", [], {}])
async def test_a_right_that_is_none_is_refused(right: str, value: Any) -> None:
    with pytest.raises(CredentialRefused) as refused:
        await let_in(token(**{right: value}))
    assert refused.value.why == "the token has a right of the radio that is not true or false"


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


@pytest.mark.promise("Hosts", "What a fresh token says of the radio counts from then on")
async def test_a_fresh_token_replaces_what_the_last_one_said() -> None:
    app: Any = attach(_nothing, authenticate=JWTAuth(secret=SECRET))
    async with hosted(app) as url, peers(url, "gate", auth={"token": token(**ALL_SAID)}) as (peer,):
        (kept,) = app.signaling._node._peers
        assert radio_of(kept.identity) == ALL_SAID
        refused = await peer.ask("refresh_token", {"token": token(priority="high")})
        assert refused["error"]["code"] == "unauthorized"
        assert radio_of(kept.identity) == ALL_SAID
        assert await peer.ask("refresh_token", {"token": token(dispatch=True)}) == {"ok": True}
        assert radio_of(kept.identity) == {**NOTHING_SAID, "dispatch": True}


LENGTHS = Settings(user_id_length=7, role_length=5, room_name_length=6, identity_rooms=2)
LONGER: dict[str, dict[str, Any]] = {
    "the user id is longer than user_id_length": {"user_id": "guard-77"},
    "the role is longer than role_length": {"role": "guards"},
    "one of the rooms is longer than room_name_length": {"rooms": ["site-7/*"]},
    "the rooms are more than identity_rooms": {"rooms": ["a", "b", "c"]},
}


def as_token(said: dict[str, Any]) -> str:
    return token(**{"sub" if name == "user_id" else name: value for name, value in said.items()})


@pytest.mark.promise(
    "Hosts", "An identity's user id, role and rooms are as short as a peer's own; the log names the setting"
)
@pytest.mark.parametrize("who", ["a token", "a host"])
async def test_an_identity_is_no_larger_than_the_settings_allow(
    who: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each member's id and role are told to each other one, and again with each change of the room."""
    said: dict[str, Any] = {}
    app: Any = attach(
        _nothing,
        settings=LENGTHS,
        authenticate=JWTAuth(secret=SECRET) if who == "a token" else lambda _credentials: said,
    )
    fits = {"user_id": "guard-7", "role": "guard", "rooms": ["gate", "site-7*"]}
    said = fits
    async with hosted(app) as url, peers(url, "gate", auth={"token": as_token(fits)}) as (peer,):
        with caplog.at_level(logging.INFO, "walkie_signal"):
            for said in LONGER.values():
                shown = {"token": as_token(said)}
                assert (await refusal(url, auth=shown))["data"]["code"] == "unauthorized"
                assert (await peer.ask("refresh_token", shown))["error"]["code"] == "unauthorized"
    lines = [each.getMessage() for each in caplog.records if "unauthorized" in each.getMessage()]
    assert [line.partition(" (")[0] for line in lines] == [
        f"{what} refused: unauthorized, {why}" for why in LONGER for what in ("connect", "refresh_token")
    ]
