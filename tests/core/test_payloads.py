from __future__ import annotations

import json

from walkie_signal.core import payloads
from walkie_signal.core.changes import Member

ANN = Member("a", "r", "guard", 7, "node")
BOB = Member("b", "r", None, None, "node")
EVE = Member("e", "r", "", "", "node")


def test_keys_stand_in_the_order_of_the_wire_and_what_was_not_given_is_left_out() -> None:
    assert json.dumps(payloads.new_peer(ANN, polite=True)) == (
        '{"peerId": "a", "role": "guard", "userId": 7, "room": "r", "polite": true}'
    )
    assert payloads.new_peer(BOB, polite=False) == {"peerId": "b", "room": "r", "polite": False}
    assert json.dumps(payloads.peer_disconnected("a", "r", "left")) == (
        '{"peerId": "a", "room": "r", "reason": "left"}'
    )
    assert json.dumps(payloads.room_status("r", [ANN, BOB])) == (
        '{"members": [{"userId": 7, "role": "guard", "peerId": "a"}, {"peerId": "b"}], "room": "r"}'
    )
    assert json.dumps(payloads.joined("r", "b", [ANN])) == (
        '{"ok": true, "room": "r", "peerId": "b", '
        '"peers": [{"peerId": "a", "role": "guard", "userId": 7, "polite": true}]}'
    )


def test_what_was_given_as_empty_is_not_left_out() -> None:
    assert payloads.new_peer(EVE, polite=True)["role"] == ""
    assert payloads.room_status("r", [EVE])["members"] == [{"userId": "", "role": "", "peerId": "e"}]


def test_of_two_peers_just_one_is_polite() -> None:
    for one, other in (("a", "b"), ("Z", "a"), ("a", "aa"), ("é", "z")):
        assert payloads.is_polite(one, other) != payloads.is_polite(other, one)
    assert payloads.is_polite("b", "a")
