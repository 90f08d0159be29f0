"""What a peer and an address may do, how much of it, and what may wait of it."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class LimitSettings(Group):
    """The bounds of a peer's events; a rate of 0 is no limit."""

    event_bytes: int = setting(
        65_536,
        "Largest event of a peer, encoded.",
        unit="bytes",
        least=1024,
        reason="nextcloud-spreed-signaling and Centrifugo take 64 KiB too; a session description with video "
        "has some 6 KB.",
    )
    nesting_depth: int = setting(
        64,
        "Deepest nesting of lists and objects in an event.",
        unit="levels",
        least=4,
        reason="orjson writes no more than 254 levels, though it reads more; a signal has three or four.",
    )
    queued_events: int = setting(
        128,
        "How many events of a peer may wait while an earlier one is under way.",
        least=1,
        reason="While its join is under way, a stock client sends the offers and candidates of a few calls; "
        "`core/early.py` lets 64 signals wait before that.",
    )
    queued_bytes: int = setting(
        1 << 20,
        "What those events may hold, as text, before the next one is refused.",
        unit="bytes",
        least=1024,
        reason="What `outbox_bytes` lets wait in the other direction; 128 events of 64 KiB would be 8 MiB a peer.",
    )
    event_rate: float = setting(
        200.0,
        "How many events a peer may send, on average; 0 for any number.",
        unit="events a second",
        least=0,
        reason="A call takes some 20 signals in its first seconds and hardly any later, so this is ten calls a "
        "second of one peer.",
    )
    event_burst: int = setting(
        2000,
        "How many of them may come at once after a quiet time.",
        least=1,
        reason="Who joins a room of 50 in which everybody calls everybody sends some 1,000 signals.",
    )
    byte_rate: float = setting(
        float(1 << 20),
        "How much the events of a peer may have, on average; 0 for any size.",
        unit="bytes a second",
        least=0,
        reason="200 events a second may have 5 KB each then, and a candidate has 0.3 KB. A picture belongs into an "
        "upload.",
    )
    byte_burst: int = setting(
        8 << 20,
        "How much of it may come at once after a quiet time.",
        unit="bytes",
        least=1,
        reason="2,000 signals of 4 KB, a session description each.",
    )
    join_rate: float = setting(
        1.0,
        "How many joins a peer may ask for, on average; each counts for one more for each 100 members of the room, "
        "who have to be told; 0 for any number.",
        unit="joins a second",
        least=0,
        reason="Each member hears of each join, so one peer that joins and leaves a room of 1,000 again and again "
        "would make the server send thousands of messages for each of its own.",
    )
    join_burst: int = setting(
        10,
        "How many of them may come at once after a quiet time.",
        least=1,
        reason="Who turns the knob of a radio past ten channels joins each of them.",
    )
    new_room_rate: float = setting(
        10.0,
        "How many rooms may be made from one address, on average, by joining one in which nobody is; 0 for any "
        "number.",
        unit="rooms a second",
        least=0,
        reason="Each is a key in the store. Behind the one address of an office or of a carrier are hundreds, and "
        "each call of two may have a room of its own.",
    )
    new_room_burst: int = setting(
        1000,
        "How many of them may come at once after a quiet time.",
        least=1,
        reason="After a restart, all who are behind one address come back at once.",
    )
    bad_credentials: int = setting(
        10,
        "How many bad credentials an address may show in a minute before no more is done for further ones than to "
        "refuse them; a good one is always let in; 0 for any number.",
        unit="a minute",
        least=0,
        reason="Who guesses gets nowhere with ten, and a person whose token has ended shows one or two.",
    )
