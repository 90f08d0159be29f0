"""The public API is a list, and a change of it is seen here."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import walkie_signal

if TYPE_CHECKING:
    from walkie_signal import Credentials, Identity, Member, SignalingNamespace

PUBLIC = [
    "AsyncEmitter",
    "Credentials",
    "Emitter",
    "Identity",
    "JWTAuth",
    "Member",
    "Settings",
    "SignalingError",
    "SignalingMiddleware",
    "SignalingNamespace",
    "__version__",
    "attach",
    "create_server",
]


@pytest.mark.promise("The package", "The public names are a fixed list, and each has a docstring")
def test_the_public_names_are_these() -> None:
    assert walkie_signal.__all__ == PUBLIC
    assert dir(walkie_signal) == PUBLIC


@pytest.mark.promise("The package", "The public names are a fixed list, and each has a docstring")
@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_each_public_name_says_what_it_does(name: str) -> None:
    thing = getattr(walkie_signal, name)
    assert len(inspect.getdoc(thing) or "") > 40
    public = [each for each in vars(thing) if not each.startswith("_")] if inspect.isclass(thing) else []
    for each in public:
        if callable(getattr(thing, each)):
            assert inspect.getdoc(getattr(thing, each)), f"{name}.{each}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(walkie_signal, "nonsense")  # noqa: B009


def as_a_caller_types_it(signaling: SignalingNamespace) -> None:
    """The API as a host uses it: read by the type checker, not run."""

    def look_up(credentials: Credentials) -> dict[str, object] | None:
        return {"user_id": credentials.token, "role": "guard"} if credentials.token else None

    async def verify(credentials: Credentials) -> Identity | None:
        return walkie_signal.Identity(credentials.token) if credentials.token else None

    def may_join(identity: Identity, room: str) -> bool:
        return identity.role == room

    async def joined(peer: Member) -> tuple[int, bool, list[str]]:
        roster: list[Member] = await signaling.peers(peer.room)
        reached: int = await signaling.send(peer.user_id or 0, "hello", {"peers": len(roster)})
        return reached, await signaling.kick(peer.peer_id), await signaling.rooms()

    walkie_signal.SignalingNamespace("/radio", authenticate=look_up, authorize=may_join, on_join=joined)
    walkie_signal.SignalingNamespace(authenticate=verify, settings=walkie_signal.Settings(room_capacity=10))
