from __future__ import annotations

from typing import Any

import pytest

from walkie_signal.core.peer_events import JoinRoom, LeaveRoom, RefreshToken, SignalTo, read_message
from walkie_signal.errors import SignalingError
from walkie_signal.settings import Settings
from walkie_signal.wire.event_packets import event_of

SETTINGS = Settings()


def read(name: str, *arguments: Any) -> Any:
    return read_message(event_of([name, *arguments], None, SETTINGS.nesting_depth), SETTINGS)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("join_room", [{"room": "r"}], JoinRoom("r", None, None)),
        (
            "join_room",
            [{"room": "r" * 128, "role": "", "userId": "u" * 64}],
            JoinRoom("r" * 128, "", "u" * 64),
        ),
        ("join_room", [{"room": "r", "role": "x" * 64, "userId": 2**53}], JoinRoom("r", "x" * 64, 2**53)),
        ("join_room", [{"room": "r", "other": 1}, "more"], JoinRoom("r", None, None)),
        ("leave_room", [], LeaveRoom(None)),
        ("leave_room", [{}], LeaveRoom(None)),
        ("leave_room", [{"room": "r"}], LeaveRoom("r")),
        ("join_room", [{"room": "r", "userId": -0.0}], JoinRoom("r", None, 0)),
        ("refresh_token", [{"token": ""}], RefreshToken("")),
        ("signal", [{"targetId": "p", "signal": None}], SignalTo("p", "null")),
        ("signal", [{"targetId": "p"}], SignalTo("p", None)),
        ("signal", [{"targetId": "", "signal": {"sdp": "v=0"}}], SignalTo("", '{"sdp":"v=0"}')),
    ],
)
def test_a_message_is_read(name: str, arguments: list[Any], message: object) -> None:
    assert read(name, *arguments) == message


NO_ROOM: list[Any] = ["", "r" * 129, None, 1, 1.5, True, [], {}, ["r"], "\0//\0null"]
NO_ROLE: list[Any] = ["x" * 65, None, 1, False, [], {}]
NO_USER_ID: list[Any] = ["u" * 65, None, True, 7.5, 2**53 + 1, 2.0**54, [], {}]
NO_TARGET: list[Any] = [None, 1, True, [], ["p"], {}, {"peerId": "p"}]
NO_TOKEN: list[Any] = [None, 7, True, [], {}]
NO_PAYLOAD: list[Any] = [None, 1, True, "r", [], ["r"], 1.5]

EVENTS = ("join_room", "leave_room", "refresh_token", "signal")

WRONG: list[tuple[str, list[Any]]] = [
    *(("join_room", [{"room": room}]) for room in NO_ROOM),
    *(("join_room", [{"room": "r", "role": role}]) for role in NO_ROLE),
    *(("join_room", [{"room": "r", "userId": user_id}]) for user_id in NO_USER_ID),
    *(("leave_room", [{"room": room}]) for room in NO_ROOM),
    *(("signal", [{"targetId": target, "signal": 1}]) for target in NO_TARGET),
    *(("refresh_token", [{"token": token}]) for token in NO_TOKEN),
    *((name, [payload]) for name in EVENTS for payload in NO_PAYLOAD),
    ("refresh_token", []),
    ("refresh_token", [{}]),
    ("join_room", []),
    ("join_room", [{}]),
    ("signal", []),
    ("signal", [{"signal": 1}]),
    ("signal", [{"targetId": "p", "signal": b"x"}]),
    ("signal", [{"targetId": "p", "signal": float("nan")}]),
    ("signal", [{"targetId": "p", "signal": "\ud800"}]),
]


@pytest.mark.parametrize(("name", "arguments"), WRONG)
def test_a_wrong_payload_is_named_so(name: str, arguments: list[Any]) -> None:
    with pytest.raises(SignalingError) as caught:
        read(name, *arguments)
    assert caught.value.code == "invalid_payload"


def test_an_event_of_nobody_is_unknown() -> None:
    for name in ("nope", "__class__", "join_room ", ""):
        with pytest.raises(SignalingError) as caught:
            read(name, {})
        assert caught.value.code == "unknown_event"


def test_an_event_over_its_size_says_the_limit() -> None:
    overhead = len('["signal",{"targetId":"p","signal":""}]')
    fits = "x" * (SETTINGS.event_bytes - overhead)
    assert read("signal", {"targetId": "p", "signal": fits}) == SignalTo("p", f'"{fits}"')
    with pytest.raises(SignalingError) as caught:
        read("signal", {"targetId": "p", "signal": fits + "x"})
    assert caught.value.to_payload()["code"] == "payload_too_large"
    assert caught.value.to_payload()["limitBytes"] == 65_536


def test_lengths_are_settings() -> None:
    settings = Settings(room_name_length=2, role_length=0, user_id_length=1)
    assert read_message(
        event_of(["join_room", {"room": "ab", "role": "", "userId": "u"}], None, 64), settings
    )
    for payload in ({"room": "abc"}, {"room": "a", "role": "r"}, {"room": "a", "userId": "uu"}):
        with pytest.raises(SignalingError):
            read_message(event_of(["join_room", payload], None, 64), settings)
