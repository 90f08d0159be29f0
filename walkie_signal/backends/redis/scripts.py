"""What Redis does in one step: scripts in Lua, each with the keys of one hash slot.

A room is a hash. Under each peer id: the time of joining in microseconds, the node, and the facts as JSON, with a
space between them. Under the empty name its version: the epoch, the number, and behind these the nodes that
settled since Redis lost its memory. A room without members has no key, but for a while after that. What is
published begins with the format and the version; its kinds are `j` (joined), `l` (left) and `s` (settled), which
`messages` reads.

They need Redis 7.0 or Valkey.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from walkie_signal.backends.redis.messages import WRITES


class Script(NamedTuple):
    """A script, and what it is called by."""

    source: str
    sha: str


def _script(source: str) -> Script:
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_ROOM = f"""
local room, channel = KEYS[1], KEYS[1]
local function now()
  local time = redis.call('TIME')
  return time[1] .. string.format('%06d', time[2])
end
local stored = redis.call('HGET', room, '')
local epoch, number, settled = now(), 0, ''
if stored then epoch, number, settled = string.match(stored, '^(%d+) (%d+)(.*)$') end
local function save(kept)
  number = number + 1
  local empty = redis.call('HLEN', room) <= (stored and 1 or 0)
  if kept or not empty then
    redis.call('HSET', room, '', epoch .. ' ' .. string.format('%d', number) .. settled)
    redis.call('PEXPIRE', room, empty and kept or ARGV[1])
  else
    redis.call('DEL', room)
  end
end
local function publish(event)
  redis.call('PUBLISH', channel, '{WRITES} ' .. epoch .. ' ' .. string.format('%d', number) .. ' ' .. event)
end
"""

JOIN = _script(
    _ROOM
    + """
-- ARGV: expiry, peer, member, capacity. Returns the room, or false where it is full.
local known = redis.call('HGET', room, ARGV[2])
local members = redis.call('HLEN', room) - (stored and 1 or 0)
if not known and members >= tonumber(ARGV[4]) then return false end
local since = known and string.match(known, '^%d+') or now()
redis.call('HSET', room, ARGV[2], since .. ' ' .. ARGV[3])
save()
publish('j ' .. ARGV[2] .. ' ' .. since .. ' ' .. ARGV[3])
if ARGV[5] == '1' then return redis.call('HGETALL', room) end
return {}
"""
)
"""Makes a peer a member."""

LEAVE = _script(
    _ROOM
    + """
-- ARGV: expiry, peer, node, reason. Returns whether it was a member, of that node.
local known = redis.call('HGET', room, ARGV[2])
if not known or string.match(known, '^%d+ (%S+)') ~= ARGV[3] then return 0 end
redis.call('HDEL', room, ARGV[2])
save()
publish('l ' .. ARGV[2] .. ' ' .. ARGV[4])
return 1
"""
)
"""Takes a member out."""

SETTLE = _script(
    _ROOM
    + """
-- ARGV: expiry, node, reason, whether it writes back, then peers and their members in turn; '' stands for a
-- member as it is, if it is one. Returns the room and who was removed.
local listed, removed, changed = {}, {}, false
for index = 5, #ARGV, 2 do listed[ARGV[index]] = ARGV[index + 1] end
local stored_fields = redis.call('HGETALL', room)
for index = 1, #stored_fields, 2 do
  local peer, value = stored_fields[index], stored_fields[index + 1]
  if peer ~= '' and string.match(value, '^%d+ (%S+)') == ARGV[2] and not listed[peer] then
    redis.call('HDEL', room, peer)
    removed[#removed + 1] = peer
    removed[#removed + 1] = value
    changed = true
  end
end
for peer, value in pairs(listed) do
  local known = redis.call('HGET', room, peer)
  if value == '' then
    listed[peer] = known or nil
  elseif known ~= value then
    redis.call('HSET', room, peer, value)
    changed = true
  end
end
if ARGV[4] == '1' then
  changed = true
  if not string.find(settled .. ' ', ' ' .. ARGV[2] .. ' ', 1, true) then settled = settled .. ' ' .. ARGV[2] end
end
if changed then
  -- Who writes back that it has no members has said so to nodes that come later, too
  save(ARGV[4] == '1' and 20000)
  publish('s ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. cjson.encode(listed))
end
return {redis.call('HGETALL', room), removed}
"""
)
"""Makes a node's members in a room those that are listed, and no other."""

TOUCH = _script(
    """
-- ARGV: expiry. Returns the version.
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HGET', KEYS[1], '')
"""
)
"""Keeps a room from expiring."""

BEAT = _script(
    """
-- KEYS: the nodes, the generation.
-- ARGV: expiry, node, the generation that it knows or '', a new one, the microseconds after which a node is silent.
-- Returns the generation, the time, whether this node is still one, and the silent nodes with their last renewal.
local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
local generation = redis.call('GET', KEYS[2])
if not generation then
  generation = ARGV[4]
  redis.call('SET', KEYS[2], generation)
  redis.call('DEL', KEYS[1])
end
local renewed = redis.call('ZSCORE', KEYS[1], ARGV[2])
local known = ARGV[3] == generation
local alive = not known or (renewed and tonumber(renewed) > 0)
if alive then redis.call('ZADD', KEYS[1], now, ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', tonumber(now) - tonumber(ARGV[5]), 'WITHSCORES')
return {generation, now, alive and 1 or 0, silent}
"""
)
"""Renews a node's lease."""

CLAIM = _script(
    """
-- KEYS: the nodes, the claim. ARGV: the dead node, when it last renewed, who claims, the claim's milliseconds.
-- Returns whether the dead node is the caller's to remove. One with the score 0 comes back to nobody.
local renewed = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not renewed or tonumber(renewed) ~= tonumber(ARGV[2]) then return 0 end
if not redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 1
"""
)
"""Makes one node the one that removes a dead one."""

FORGET = _script(
    """
-- KEYS: the nodes, the generation, the claim. ARGV: node.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return 1
"""
)
"""Takes a node that has no members any more from the nodes; the last one leaves nothing behind."""

ALL = (JOIN, LEAVE, SETTLE, TOUCH, BEAT, CLAIM, FORGET)
