from __future__ import annotations

from typing import Any

import pytest

from walkie_signal.core.identity import Credentials, Identity, read_user_id


@pytest.mark.parametrize("value", ["", "ann", "7.0", 0, -(2**53), 2**53])
def test_a_string_or_a_safe_integer_is_a_user_id(value: Any) -> None:
    assert read_user_id(value) == value


@pytest.mark.promise(
    "The wire",
    "A whole float is an integer; a signal's value is passed on as the text that it came in, and an absent "
    "one stays absent",
)
@pytest.mark.parametrize(("value", "read"), [(7.0, 7), (-0.0, 0), (-(2.0**53), -(2**53))])
def test_a_whole_float_is_that_integer(value: Any, read: int) -> None:
    """Dart, Kotlin, and JavaScript behind a bridge write 7 as 7.0."""
    identities = (Identity(value), Identity.from_mapping({"user_id": value}))
    for user_id in (read_user_id(value), *(each.user_id for each in identities)):
        assert repr(user_id) == repr(read)


@pytest.mark.parametrize(
    "value", [True, 1.5, None, [], {}, b"x", 2**53 + 1, -(2**53) - 1, 2.0**54, float("inf"), float("nan")]
)
def test_anything_else_is_none(value: Any) -> None:
    assert read_user_id(value) is None


def test_an_identity_is_made_of_what_a_host_has_at_hand() -> None:
    identity = Identity.from_mapping({"user_id": 7, "role": "guard", "site": "north"})
    assert identity == Identity(7, "guard", {"site": "north"})
    assert Identity.from_mapping({}) == Identity()


@pytest.mark.parametrize("mapping", [{"user_id": 1.5}, {"user_id": True}, {"role": 3}, {"user_id": ["x"]}])
def test_an_identity_of_the_wrong_type_is_refused(mapping: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(mapping))):
        Identity.from_mapping(mapping)


def test_credentials_keep_their_secrets_when_printed() -> None:
    shown = repr(
        Credentials("s3cret", {"token": "s3cret"}, {"authorization": "Bearer s3cret"}, {"token": "s3cret"})
    )
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("rooms", "allowed", "refused"),
    [
        (None, ["gate", "", "*"], []),
        ((), [], ["gate", "", "*"]),
        (("gate",), ["gate"], ["gates", "Gate", "gat", ""]),
        (["site-7/*", "gate"], ["site-7/", "site-7/yard", "site-7/*", "gate"], ["site-7", "site-71", "x"]),
        (("*",), ["gate", "", "*"], []),
        (("a*b",), ["a*b"], ["ab", "axb"]),
    ],
)
def test_the_rooms_that_an_identity_allows(rooms: Any, allowed: list[str], refused: list[str]) -> None:
    for identity in (Identity("u", rooms=rooms), Identity.from_mapping({"user_id": "u", "rooms": rooms})):
        assert [room for room in allowed + refused if identity.allows(room)] == allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"rooms": "gate"},
        {"rooms": [7]},
        {"rooms": {"gate"}},
        {"expires_at": "soon"},
        {"expires_at": [1]},
        {"expires_at": float("inf")},
        {"expires_at": float("nan")},
        {"expires_at": 1.7e308},
        {"expires_at": 10**400},
    ],
)
def test_rooms_and_times_of_another_type_are_refused(wrong: Any) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        Identity("u", **wrong)
    with pytest.raises(ValueError, match=name):
        Identity.from_mapping({"user_id": "u", **wrong})


def test_half_a_surrogate_pair_is_no_identity() -> None:
    """No store could write it, and a node that has it could not connect to its store again."""
    for wrong in ({"user_id": "\ud800"}, {"role": "x\udfff"}):
        with pytest.raises(ValueError, match="surrogate"):
            Identity.from_mapping(wrong)
