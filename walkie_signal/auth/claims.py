"""What the claims of a verified token say of a peer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from walkie_signal.core.identity import LATEST, Identity, read_user_id
from walkie_signal.errors import CredentialRefused
from walkie_signal.wire.values import is_text


class ClaimNames(NamedTuple):
    """What an issuer calls its claims.

    Attributes:
        user: Who it is.
        role: The role.
        rooms: The rooms that the peer may join.
    """

    user: str = "sub"
    role: str = "role"
    rooms: str = "rooms"


def identity_of(claims: Mapping[str, Any], names: ClaimNames) -> Identity:
    """Return the identity that claims describe; the claims themselves are its attributes.

    Raises:
        CredentialRefused: A claim is not what it should be.
    """
    user_id = read_user_id(claims.get(names.user))
    if user_id is None or user_id == "":
        raise CredentialRefused("the token does not say whose it is")
    role = claims.get(names.role)
    if any(isinstance(each, str) and not is_text(each) for each in (user_id, role)):
        raise CredentialRefused("the token does not say whose it is")
    if role is not None and not isinstance(role, str):
        raise CredentialRefused("the token has a role that is not a string")
    rooms = claims.get(names.rooms)
    if rooms is not None:
        if not isinstance(rooms, list) or not all(isinstance(room, str) for room in rooms):
            raise CredentialRefused("the token has rooms that are not a list of strings")
        rooms = tuple(rooms)
    if int(claims.get("exp", 0)) > LATEST:  # it has been verified, and may be a text
        raise CredentialRefused("the token has an end beyond all times")
    expires_at = float(claims["exp"]) if "exp" in claims else None
    issued_at = max(0.0, float(claims["iat"])) if "iat" in claims else None
    return Identity(user_id, role, dict(claims), rooms=rooms, expires_at=expires_at, issued_at=issued_at)
