"""What nodes write for one another is read as it was meant, field by field."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args

import pytest

from walkie_signal.backends.shared import messages, records
from walkie_signal.core import payloads
from walkie_signal.core.changes import Member
from walkie_signal.core.replicas import Entry

SAMPLES: dict[str, tuple[Any, ...]] = {
    "peer_id": ("p-_1",),
    "room": ("r", "a room {x}"),
    "role": (None, "", "guard", 'a "b" \\ é\u2028'),
    "user_id": (None, "", "u-7", 7, 0, -(2**53), 2**53),
    "node": ("0123456789abcdef",),
}
"""Values for each field of a member: a field that has none here, or that no node reads, fails."""

ALONE = Member(**{name: values[0] for name, values in SAMPLES.items()})


@pytest.mark.promise(
    "Many nodes", "Nodes read what other nodes write as it was meant, each field of a member too"
)
def test_each_field_of_a_member_has_samples() -> None:
    assert [each.name for each in fields(Member)] == list(SAMPLES)


@pytest.mark.promise(
    "Many nodes", "Nodes read what other nodes write as it was meant, each field of a member too"
)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_member_is_read_as_it_was_written(name: str) -> None:
    for value in SAMPLES[name]:
        entry = Entry(replace(ALONE, **{name: value}), 1_700_000_000_000_000)
        assert (
            records.read_entry(entry.member.room, entry.member.peer_id, records.write_entry(entry)) == entry
        )


@pytest.mark.promise(
    "Many nodes", "Nodes read what other nodes write as it was meant, each field of a member too"
)
@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"peer_id", "room", "node"}))
def test_whatever_a_member_says_of_itself_is_told_wherever_members_are(name: str) -> None:
    (value,) = SAMPLES[name][-1:]
    member = replace(ALONE, **{name: value})
    told = [
        payloads.new_peer(member, polite=True),
        *payloads.room_status("r", [member])["members"],
        *payloads.joined("r", "other", [member])["peers"],
    ]
    assert [value in each.values() for each in told] == [True] * 3


WRITERS = {
    messages.Signal: messages.write_signal,
    messages.Told: messages.write_told,
    messages.Kicked: messages.write_kicked,
    messages.Beat: messages.write_beat,
    messages.Mark: messages.write_mark,
    messages.Read: messages.write_read,
    messages.HostMessage: lambda node, number, *body: messages.write_host(
        node, number, messages.write_host_body(*body)
    ),
}
NAMED = (messages.Signal, messages.HostMessage)
"""Those whose writers take the fields one by one."""


@pytest.mark.promise(
    "Many nodes", "Nodes read what other nodes write as it was meant, each field of a member too"
)
@pytest.mark.parametrize(
    "message",
    [
        messages.Signal(
            "node", 3, "to", "from", 1_700_000_000_000_000, "a room {x} é", '42["signal",{"é": 1}]'
        ),
        messages.Told("u 7 é", '42["hello", 1]'),
        messages.Kicked("p-_1"),
        messages.Beat(7),
        messages.Mark("node", 3),
        messages.Read("node", 3),
        messages.HostMessage(
            "node", 3, "emit", ["/", ["a room \x1e é", 7, None], [], 0], ('42["é \\u001e"]', b"\x00\xff")
        ),
        messages.HostMessage("node", 3, "order", [1, "enter", "/", "sid", None], ()),
    ],
)
def test_a_message_to_a_node_is_read_as_it_was_written(message: Any) -> None:
    assert set(WRITERS) == set(get_args(messages.NodeMessage))
    write: Any = WRITERS[type(message)]
    written = write(*message) if isinstance(message, NAMED) else write(message)
    assert messages.read_node_message(written if isinstance(written, bytes) else written.encode()) == message
