"""What Redis does in one step: scripts in Lua, each with the keys of one hash slot.

A room is a hash. Each peer id has a field with the time of joining in microseconds, the node, and the facts as
JSON, with a space between them. The field with the empty name holds the version: the epoch, the number, and then
the nodes that have settled since Redis lost its memory. A room without members has no key, except for a while after
that. Each published change begins with the format and the version; its kinds are `j` (joined), `l` (left) and `s`
(settled), which `messages` reads. If a script finds a key with anything else in it, it writes nothing and answers
STRANGE (`strange`).

The scripts need Redis 6.2 or Valkey.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from walkie_signal.backends.redis.messages import LONGEST_NUMBER, WRITES


class Script(NamedTuple):
    """A script, and the hash by which it is called."""

    source: str
    sha: str


def _script(source: str) -> Script:
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_STRANGE = """
local function strange(answer, key)
  if answer and not string.find(answer.err, 'WRONGTYPE', 1, true) then return answer end
  return redis.error_reply('STRANGE ' .. key .. ' holds a value that no node writes')
end
"""
"""Makes the answer of a script that has found a strange key; any other error stays as it is."""

_ROOM = f"""{_STRANGE}
local room, channel = KEYS[1], KEYS[1]
local function now()
  local time = redis.call('TIME')
  return time[1] .. string.format('%06d', time[2])
end
local stored = redis.pcall('HGET', room, '')
if type(stored) == 'table' then return strange(stored, room) end
local epoch, number, settled = now(), 0, ''
if stored then
  epoch, number, settled = string.match(stored, '^(%d+) (%d+)(.*)$')
  -- A number of Lua is exact up to 2^53
  if not epoch or #epoch > {LONGEST_NUMBER} or #number > 15 then return strange(nil, room) end
end
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
-- ARGV: expiry, peer, member, capacity. Returns the room, or false if it is full.
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
-- ARGV: expiry, node, reason, whether it writes back, then each peer and its member; '' keeps the member as it is,
-- if the peer is one. Returns the room and the removed members.
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
  -- If a node writes back that it has no members, nodes that come later have to see this too
  save(ARGV[4] == '1' and 20000)
  publish('s ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. cjson.encode(listed))
end
return {redis.call('HGETALL', room), removed}
"""
)
"""Makes a node's members in a room exactly those that are listed."""

TOUCH = _script(
    _STRANGE
    + """
-- ARGV: expiry. Returns the version.
local stored = redis.pcall('HGET', KEYS[1], '')
if type(stored) == 'table' then return strange(stored, KEYS[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return stored
"""
)
"""Keeps a room from expiring."""

BEAT = _script(
    _STRANGE
    + """
-- KEYS: the nodes, the generation.
-- ARGV: expiry, node, the generation that it knows or '', a new one, the microseconds after which a node is silent.
-- Returns the generation, the time, whether this node is still one, the silent nodes with their last renewal, and
-- when this node renewed before, or false.
local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
local generation = redis.pcall('GET', KEYS[2])
if type(generation) == 'table' then return strange(generation, KEYS[2]) end
local renewed = generation and redis.pcall('ZSCORE', KEYS[1], ARGV[2])
if type(renewed) == 'table' then return strange(renewed, KEYS[1]) end
local ours = generation and string.match(generation, '^[^:]*') == string.match(ARGV[4], '^[^:]*')
if not generation or (ours and redis.call('ZCARD', KEYS[1]) == 0) then
  -- The last node removes the generation: if there is a generation but no node, somebody has removed the nodes
  generation, renewed = ARGV[4], false
  redis.call('SET', KEYS[2], generation)
  redis.call('DEL', KEYS[1])
end
local known = ARGV[3] == generation
local alive = not known or (renewed and tonumber(renewed) > 0)
if alive then redis.call('ZADD', KEYS[1], now, ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', tonumber(now) - tonumber(ARGV[5]), 'WITHSCORES')
return {generation, now, alive and 1 or 0, silent, renewed}
"""
)
"""Renews a node's lease."""

CLAIM = _script(
    """
-- KEYS: the nodes, the claim. ARGV: the dead node, when it last renewed, who claims, the claim's milliseconds.
-- Returns whether the caller is to remove the dead node; 2 if the claim's key was strange. Such a key is replaced,
-- because a claim only lasts for seconds. Only a living node's claim keeps others from it: what somebody else has
-- written there may never expire. A dead node has the score 0, and can't renew its lease any more.
local renewed = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not renewed or tonumber(renewed) ~= tonumber(ARGV[2]) then return 0 end
local claimed = redis.pcall('GET', KEYS[2])
local odd = type(claimed) == 'table'
if claimed and not odd and claimed ~= ARGV[1] and claimed ~= ARGV[3] then
  local living = redis.call('ZSCORE', KEYS[1], claimed)
  if living and tonumber(living) > 0 then return 0 end
end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return odd and 2 or 1
"""
)
"""Lets exactly one node remove a dead one."""

STRANGE_CLAIM = 2
"""The answer of `CLAIM` if the claim was strange, and now belongs to the caller."""

FORGET = _script(
    """
-- KEYS: the nodes, the generation, the claim. ARGV: node.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return 1
"""
)
"""Removes a node that has no members any more; the last node leaves nothing behind."""

NEEDED = _script(
    """
-- KEYS: one that nobody uses. Returns the commands that give an error, each with its error.
local key, errors = KEYS[1], {}
for _, command in ipairs({
  {'TIME'}, {'PUBLISH', key, ''},
  {'SET', key, '', 'PX', 1000}, {'GET', key}, {'PEXPIRE', key, 1000}, {'DEL', key},
  {'HSET', key, 'a', ''}, {'PEXPIRE', key, 1000}, {'HGET', key, 'a'}, {'HGETALL', key}, {'HLEN', key},
  {'HDEL', key, 'a'},
  {'SADD', key, 'a'}, {'PEXPIRE', key, 1000}, {'SMEMBERS', key}, {'SREM', key, 'a'},
  {'ZADD', key, 1, 'a'}, {'PEXPIRE', key, 1000}, {'ZSCORE', key, 'a'}, {'ZCARD', key}, {'ZRANGE', key, 0, -1},
  {'ZRANGEBYSCORE', key, 0, 1}, {'ZREM', key, 'a'},
}) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    errors[#errors + 1] = command[1]
    errors[#errors + 1] = answer.err
  end
end
return errors
"""
)
"""Tries each command that a node needs, except for those that no script may run."""

ALL = (NEEDED, JOIN, LEAVE, SETTLE, TOUCH, BEAT, CLAIM, FORGET)
