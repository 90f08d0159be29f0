from __future__ import annotations

from typing import Any

import pytest

from walkie_signal.core.identity import RIGHTS, Credentials, Identity, read_priority, read_user_id
from walkie_signal.errors import CredentialRefused
from walkie_signal.settings.rooms import NameSettings


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


def test_without_a_word_of_the_radio_one_talks_and_cuts_nobody_off() -> None:
    nobody = Identity()
    assert {right: getattr(nobody, right) for right in RIGHTS} == {
        "speak": True, "preempt": False, "uninterruptible": False, "dispatch": False, "emergency": False,
    }  # fmt: skip
    assert nobody.priority == 0


def test_what_a_host_s_mapping_says_of_the_radio_is_typed_and_no_attribute() -> None:
    said = {"speak": False, "priority": 7.0, "preempt": True, "emergency": True, "site": "north"}
    identity = Identity.from_mapping({"user_id": 7, **said})
    assert identity == Identity(
        7, attributes={"site": "north"}, speak=False, priority=7, preempt=True, emergency=True
    )
    assert repr(identity.priority) == "7"


@pytest.mark.parametrize("value", [-1, 256, 1.5, True, "7", None, [7], float("inf"), float("nan")])
def test_what_is_no_priority(value: Any) -> None:
    assert read_priority(value) is None
    with pytest.raises(ValueError, match="priority is no integer from 0 to 255"):
        Identity(priority=value)


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("value", [0, 1, "true", None, [True]])
def test_a_right_is_true_or_false_and_nothing_that_counts_as_one(right: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{right} is not true or false"):
        Identity.from_mapping({right: value})


NAMES = NameSettings(user_id_length=3, role_length=4, room_name_length=5, identity_rooms=2)


@pytest.mark.parametrize(
    "identity",
    [
        Identity(),
        Identity("abc", "role", rooms=("yards", "yards*")),
        Identity(2**53, rooms=()),
    ],
    ids=repr,
)
def test_an_identity_of_the_longest_names_will_do(identity: Identity) -> None:
    identity.check_lengths(NAMES)


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (Identity("abcd"), "the user id is longer than user_id_length"),
        (Identity(role="roles"), "the role is longer than role_length"),
        (Identity(rooms=("a", "garden")), "one of the rooms is longer than room_name_length"),
        (Identity(rooms=("garden*",)), "one of the rooms is longer than room_name_length"),
        (Identity(rooms=("a", "b", "c")), "the rooms are more than identity_rooms"),
    ],
    ids=repr,
)
def test_an_identity_that_is_larger_is_refused_by_the_name_of_the_setting(
    identity: Identity, why: str
) -> None:
    with pytest.raises(CredentialRefused) as refused:
        identity.check_lengths(NAMES)
    assert refused.value.why == why
