"""The scripts on a real Redis, played step by step at times that a test gives, in place of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from walkie_signal.backends.redis import scripts
from walkie_signal.backends.redis.store.keys import EXPIRY
from walkie_signal.backends.redis.store.values import OUTCOMES
from walkie_signal.backends.shared.records import (
    read_entries,
    read_room_message,
    read_roster,
    read_value,
    write_entry,
    write_member,
    write_value,
)
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.ledger import Published
from walkie_signal.core.replicas import Entry, Roster
from walkie_signal.core.values import ABSENT, Outcome, Value

AROUND = """
local clock, published, real = table.remove(ARGV), {}, redis
for _, key in ipairs(KEYS) do
  local due = real.call('HGET', 'deadlines', key)
  if due and tonumber(due) <= tonumber(clock) then real.call('DEL', key) end
  if real.call('EXISTS', key) == 0 then real.call('HDEL', 'deadlines', key) end
end
local function carry_out(how, command, key, ...)
  if command == 'TIME' then return {string.sub(clock, 1, -7), string.sub(clock, -6)} end
  if command == 'PUBLISH' then published[#published + 1] = ... return 1 end
  local there = real.call('EXISTS', key) == 1
  if command == 'PEXPIRE' then
    if there then real.call('HSET', 'deadlines', key, string.format('%d', clock + 1000 * ...)) end
    return there and 1 or 0
  end
  if not there or command == 'DEL' then real.call('HDEL', 'deadlines', key) end
  return real[how](command, key, ...)
end
local redis = {error_reply = real.error_reply}
function redis.call(...) return carry_out('call', ...) end
function redis.pcall(...) return carry_out('pcall', ...) end
local function script()
SCRIPT
end
local answer, lasting = script(), {}
for _, key in ipairs(KEYS) do
  if real.call('EXISTS', key) == 1 and not real.call('HGET', 'deadlines', key) then lasting[#lasting + 1] = key end
end
return {answer, published, lasting}
"""
"""Goes around each script: the time is its last argument, keys expire by that time, and what it publishes is
returned behind its answer, with the keys that would never expire."""

NOBODY = "nobody"
"""A node that has no members: what it settles changes nothing, and shows the room."""


class Scripts:
    """The store on Redis, with the steps of `Ledger`."""

    def __init__(self, url: str, rooms: Sequence[str]) -> None:
        self._rooms = rooms
        self._redis = Redis.from_url(url)
        self._shas = {
            each.sha: self._redis.script_load(AROUND.replace("SCRIPT", each.source)) for each in scripts.ALL
        }

    def close(self) -> None:
        self._redis.close()

    def clear(self) -> None:
        self._redis.flushdb()

    def _run(
        self, script: scripts.Script, room: str, now: int, *arguments: Any
    ) -> tuple[Any, list[Published]]:
        keys = (f"room:{room}", f"room:{room}:values")
        sha = self._shas[script.sha]
        answer, published, lasting = self._redis.evalsha(sha, len(keys), *keys, EXPIRY, *arguments, now)
        assert lasting == [], f"would never expire: {lasting}"
        return answer, [_published(room, data) for data in published]

    # The steps

    def join(self, member: Member, capacity: int, now: int) -> tuple[bool, list[Published]]:
        room, arguments = member.room, (member.peer_id, write_member(member), capacity, 1)
        answer, published = self._run(scripts.JOIN, room, now, *arguments)
        if answer is not None:
            assert read_roster(room, *map(texts, answer)) == self.roster(room, now), "the join's answer"
        return answer is not None, published

    def leave(
        self, room: str, peer_id: str, node: str, reason: Reason, now: int
    ) -> tuple[bool, list[Published]]:
        answer, published = self._run(scripts.LEAVE, room, now, peer_id, node, reason)
        return bool(answer), published

    def settle(
        self,
        room: str,
        node: str,
        reason: Reason,
        listed: dict[str, Entry | None],
        now: int,
        *,
        writes_back: tuple[Value, ...] | None = None,
    ) -> tuple[list[Entry], list[Published]]:
        beside = [text for value in writes_back or () for text in (value.key, write_value(value))]
        members = [
            text
            for peer_id, entry in listed.items()
            for text in (peer_id, "" if entry is None else write_entry(entry))
        ]
        arguments = (node, reason, int(writes_back is not None), len(beside) // 2, *beside, *members)
        (_, _, removed), published = self._run(scripts.SETTLE, room, now, *arguments)
        return list(read_entries(room, texts(removed).items())), published

    def read(self, room: str, key: str, now: int) -> Value:
        answer, _ = self._run(scripts.READ, room, now, key)
        return ABSENT if answer is None else read_value(key, answer.decode())

    def swap(
        self,
        room: str,
        key: str,
        version: int,
        text: str,
        now: int,
        *,
        node: str,
        member: str | None = None,
        keep: int = 0,
    ) -> tuple[Outcome, list[Published]]:
        arguments = (key, version, node, keep // 1000, text, member or "")
        answer, published = self._run(scripts.SWAP, room, now, *arguments)
        return OUTCOMES[answer], published

    def roster(self, room: str, now: int) -> Roster:
        (fields, values, _), published = self._run(scripts.SETTLE, room, now, NOBODY, "left", 0, 0)
        assert published == []
        return read_roster(room, texts(fields), texts(values))


def _published(room: str, data: bytes) -> Published:
    version, event = read_room_message(room, data)
    assert event is not None, data
    return room, version, event


def texts(flat: list[bytes]) -> dict[str, str]:
    found = [each.decode() for each in flat]
    return dict(zip(found[::2], found[1::2], strict=True))
