"""What a stock npm peer is acked, and how it is told of what failed."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from support.node import Transports, script
from support.servers import serve

pytestmark = pytest.mark.node

TRANSPORTS = get_args(Transports)

Step = dict[str, Any]


def ask(peer: str, *event: Any) -> Step:
    """Emit with an ack asked for: the ack is the answer."""
    return {"peer": peer, "emit": event, "ack": True}


def tell(peer: str, *event: Any, hears: str | None = None) -> Step:
    """Emit with none asked for: the answer is the next event `hears`."""
    return {"peer": peer, "emit": event, "hears": hears}


JOINED = [ask("ann", "join_room", {"room": "gate"}), ask("bob", "join_room", {"room": "gate"})]


async def asked(*steps: Step, transports: Transports = "websocket") -> dict[str, Any]:
    async with serve() as serving:
        told: dict[str, Any] = await script("ask.js", serving.url, transports, json.dumps(steps))
    connected = {states[0][0] for states in told["states"].values() if len(states) == 1}
    assert connected == {"connect"}, told["states"]
    return told


@pytest.mark.promise("The wire", "A joiner gets its ack first, then each peer, then the roster")
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_a_join_is_acked_first_with_those_who_are_there(transports: Transports) -> None:
    told = await asked(
        ask("ann", "join_room", {"room": "gate", "role": "guard", "userId": 7}),
        ask("bob", "join_room", {"room": "gate"}),
        ask("cat", "join_room", {"room": "gate", "role": "", "userId": "u-3"}),
        ask("dan", "join_room", {"room": "yard"}),
        transports=transports,
    )
    ann, bob, cat, dan = (told["ids"][name] for name in ("ann", "bob", "cat", "dan"))
    acks = [answer["answer"] for answer in told["answers"]]
    given = {"role": "guard", "userId": 7}
    expected = [
        {"ok": True, "room": "gate", "peerId": ann, "peers": []},
        {
            "ok": True,
            "room": "gate",
            "peerId": bob,
            "peers": [{"peerId": ann, **given, "polite": bob > ann}],
        },
        {
            "ok": True,
            "room": "gate",
            "peerId": cat,
            "peers": [
                {"peerId": ann, **given, "polite": cat > ann},
                {"peerId": bob, "polite": cat > bob},
            ],
        },
        {"ok": True, "room": "yard", "peerId": dan, "peers": []},
    ]
    # As text, for the order of the keys
    assert list(map(json.dumps, acks)) == list(map(json.dumps, expected))
    assert [answer["before"] for answer in told["answers"]] == [[], [], [], []], (
        "an event came before the ack"
    )


@pytest.mark.promise("The wire", "`polite` is opposite for each pair")
async def test_both_sides_of_each_pair_know_their_part() -> None:
    names = ["ann", "bob", "cat"]
    told = await asked(*(ask(name, "join_room", {"room": "gate"}) for name in names), *map(settle, names))
    polite = {
        (told["ids"][name], payload["peerId"]): payload["polite"]
        for name in names
        for event, payload in told["heard"][name]
        if event == "new_peer"
    }
    assert len(polite) == 6
    assert polite == {(own, other): own > other for own, other in polite}


def settle(peer: str) -> Step:
    """Have it signal itself, after which it has heard all that came before."""
    return tell(peer, "signal", {"targetId": f"@{peer}", "signal": 0}, hears="signal")


async def test_what_succeeds_is_acked_with_ok() -> None:
    told = await asked(
        *JOINED,
        ask("ann", "signal", {"targetId": "@bob", "signal": None}),
        ask("ann", "signal", {"targetId": "@ann", "signal": []}),
        ask("ann", "leave_room", {"room": "gate"}),
        ask("bob", "leave_room", {}),
        ask("ann", "join_room", {"room": "gate"}),
        ask("ann", "leave_room"),
    )
    oks = [step["answer"] for step in told["answers"][2:]]
    assert [ok.get("peers") for ok in oks] == [None, None, None, None, [], None]
    assert [ok for ok in oks if "peers" not in ok] == [{"ok": True}] * 5


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


JOIN_FAULTS = {
    "no argument": (),
    "null": (None,),
    "text": ("gate",),
    "list": ([{"room": "gate"}],),
    "no room": ({},),
    "room null": ({"room": None},),
    "room a number": ({"room": 1},),
    "room empty": ({"room": ""},),
    "room too long": ({"room": "r" * 129},),
    "role a number": ({"room": "yard", "role": 1},),
    "role too long": ({"room": "yard", "role": "r" * 65},),
    "userId a bool": ({"room": "yard", "userId": True},),
    "userId a float": ({"room": "yard", "userId": 1.5},),
    "userId too large": ({"room": "yard", "userId": 2**53 + 2},),
    "userId too long": ({"room": "yard", "userId": "u" * 65},),
    "userId an object": ({"room": "yard", "userId": {}},),
    "binary": ({"room": "yard", "role": {"$bytes": 8}},),
    "lone surrogate": ({"room": "\ud800"},),
}
FAULTS = [
    *(("join_room", arguments, "invalid_payload", what) for what, arguments in JOIN_FAULTS.items()),
    ("signal", (), "invalid_payload", "no argument"),
    ("signal", ({"signal": 1},), "invalid_payload", "no target"),
    ("signal", ({"targetId": None, "signal": 1},), "invalid_payload", "target null"),
    ("signal", ({"targetId": ["@bob"], "signal": 1},), "invalid_payload", "target a list"),
    ("signal", ({"targetId": "@bob", "signal": {"$bytes": 8}},), "invalid_payload", "binary"),
    ("signal", ({"targetId": "@bob", "signal": nested(80)},), "invalid_payload", "nested too deep"),
    ("signal", ({"targetId": "@bob", "signal": {"$text": 70_000}},), "payload_too_large", "too large"),
    ("signal", ({"targetId": "nobody", "signal": 1},), "peer_not_found", "nobody"),
    ("signal", ({"targetId": "gate", "signal": 1},), "peer_not_found", "a room's name"),
    ("signal", ({"targetId": "@eve", "signal": 1},), "peer_not_found", "a peer of another room"),
    ("leave_room", ({"room": "yard"},), "not_in_room", "a room it is not in"),
    ("leave_room", ({"room": 1},), "invalid_payload", "room a number"),
    ("shout", ({"text": "hello"},), "unknown_event", "an event that nobody handles"),
]


@pytest.mark.promise(
    "The wire",
    "An error only goes to the sender of the event, by ack or `signal_error`, and the connection stays",
)
async def test_what_fails_is_told_to_its_sender_alone() -> None:
    """By the ack where one is asked for, else by ``signal_error``; and the sender may go on."""
    calls = [
        step
        for event, arguments, _, _ in FAULTS
        for step in (ask("ann", event, *arguments), tell("ann", event, *arguments, hears="signal_error"))
    ]
    started = [*JOINED, ask("eve", "join_room", {"room": "elsewhere"})]
    ended = [ask("ann", "signal", {"targetId": "@bob", "signal": "end"}), settle("bob"), settle("eve")]
    told = await asked(*started, *calls, *ended)

    answers = iter([answer["answer"] for answer in told["answers"][3:]])
    for event, _, code, what in FAULTS:
        ack, error = next(answers), next(answers)
        assert list(ack) == ["ok", "error"], (event, what, ack)
        assert ack["ok"] is False
        assert list(ack["error"])[:2] == ["code", "message"], (event, what, ack)
        assert ack["error"]["code"] == code, (event, what, ack)
        assert error == {"event": event, **ack["error"]}
        assert list(error)[:3] == ["event", "code", "message"]
        if code == "payload_too_large":
            assert ack["error"]["limitBytes"] == 65536
    assert next(answers) == {"ok": True}
    ann, bob = told["ids"]["ann"], told["ids"]["bob"]
    assert [event for event in told["heard"]["bob"] if event[0] != "room_status"] == [
        ["new_peer", {"peerId": ann, "room": "gate", "polite": bob > ann}],
        ["signal", {"fromId": ann, "signal": "end"}],
        ["signal", {"fromId": bob, "signal": 0}],
    ]
    assert [event for event, _ in told["heard"]["eve"]] == ["room_status", "signal"]


async def test_a_signal_of_a_peer_that_joins_nothing_is_refused_in_the_end() -> None:
    told = await asked(
        ask("ann", "signal", {"targetId": "@ann", "signal": 1}),
        ask("ann", "leave_room", {"room": "gate"}),
    )
    assert [answer["answer"]["error"]["code"] for answer in told["answers"]] == ["not_in_room"] * 2
