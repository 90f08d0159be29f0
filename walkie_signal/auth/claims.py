"""What the claims of a verified token say of a peer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from walkie_signal.core.identity import LATEST, RIGHTS, Identity, read_priority, read_user_id
from walkie_signal.errors import CredentialRefused
from walkie_signal.wire.values import is_text


class ClaimNames(NamedTuple):
    """What an issuer calls its claims.

    Attributes:
        user: Who it is.
        role: The role.
        rooms: The rooms that the peer may join.
        radio_prefix: What precedes the names of those of the radio: `priority` and each of `RIGHTS`.
    """

    user: str = "sub"
    role: str = "role"
    rooms: str = "rooms"
    radio_prefix: str = ""


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
    radio = _radio_of(claims, names.radio_prefix)
    issued_at = min(max(0, claims["iat"]), LATEST) if isinstance(claims.get("iat"), (int, float)) else None
    return Identity(
        user_id, role, dict(claims), rooms=rooms, expires_at=expires_at, issued_at=issued_at, **radio
    )


def _radio_of(claims: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the claims of the radio, by the fields of `Identity`; those that are absent or null are left out.

    Raises:
        CredentialRefused: A claim is not what it should be.
    """
    names = ("priority", *RIGHTS)
    found = {name: claim for name in names if (claim := claims.get(prefix + name)) is not None}
    if "priority" in found and read_priority(found["priority"]) is None:
        raise CredentialRefused("the token has a priority that is no integer from 0 to 255")
    if any(not isinstance(found[right], bool) for right in RIGHTS if right in found):
        raise CredentialRefused("the token has a right of the radio that is not true or false")
    return found
