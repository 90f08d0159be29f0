"""The scripts about a room and the values beside it.

A room is a hash. Each peer id has a field with the time of joining in microseconds, the node, and the facts as
JSON, with a space between them. The field with the empty name holds the version: the epoch, the number, and then
the nodes that have settled since Redis lost its memory. A room without members has no key, except for a while after
that.

The values are another hash. Each key has a field with the version, the microsecond until which the value stays
without a room, the node that swapped it, and the text.

Each published change begins with the format and the room's version; its kinds are `j` (joined), `l` (left), `s`
(settled) and `v` (a value was swapped), which `records` reads.
"""

from __future__ import annotations

from walkie_signal.backends.redis.scripts.script import STRANGE, script
from walkie_signal.backends.shared.format import LONGEST_NUMBER, WRITES

LONGEST_TIME = 16
"""Digits of a microsecond and of the version of a value; Lua counts exactly up to 2^53, which has 16."""

_ROOM = f"""{STRANGE}
local room, channel, values = KEYS[1], KEYS[1], KEYS[2]
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
elseif redis.call('HLEN', room) > 0 then
  return strange(nil, room)
end
local function beside()
  local all = redis.pcall('HGETALL', values)
  return all.err and {{}} or all  -- a strange key only keeps its own values away
end
local function lapse()
  -- Without a room, a value stays until its own time. Returns whether any does
  local all, last = beside(), 0
  if #all == 0 then return false end
  local time = tonumber(now())
  for index = 1, #all, 2 do
    local till = string.match(all[index + 1], '^%d+ (%d+) ')
    till = till and #till <= {LONGEST_TIME} and tonumber(till) or 0
    if till <= time then redis.call('HDEL', values, all[index]) end
    last = math.max(last, till)
  end
  if last <= time then return false end
  redis.call('PEXPIRE', values, string.format('%d', math.ceil((last - time) / 1000)))
  return true
end
local bare = not stored and not lapse()  -- neither a room nor a value
local function count()
  number = number + 1
  return epoch .. ' ' .. string.format('%d', number) .. settled
end
local function save(kept)
  local version = count()
  local empty = redis.call('HLEN', room) <= (stored and 1 or 0)
  if kept or not empty then
    redis.call('HSET', room, '', version)
    redis.call('PEXPIRE', room, empty and kept or ARGV[1])
    if not stored and not bare then redis.call('PEXPIRE', values, ARGV[1]) end
    stored = version
  else
    redis.call('DEL', room)
    lapse()
  end
end
local function publish(event)
  redis.call('PUBLISH', channel, '{WRITES} ' .. epoch .. ' ' .. string.format('%d', number) .. ' ' .. event)
end
"""

_VALUES = f"""{_ROOM}
local function version_of(value)
  local version = value and string.match(value, '^(%d+) %d+ %S+ ') or not value and '0'
  return version and #version <= {LONGEST_TIME} and tonumber(version) or nil
end
local function put(key, value)
  redis.call('HSET', values, key, value)
  local version = count()
  if stored then
    redis.call('HSET', room, '', version)
    redis.call('PEXPIRE', values, ARGV[1])
  else
    lapse()
  end
  publish('v ' .. key .. ' ' .. value)
end
"""

JOIN = script(
    _ROOM
    + """
-- ARGV: expiry, peer, member, capacity, whether the answer is wanted.
-- Returns the room and the values beside it, if wanted; false if the room is full.
local known = redis.call('HGET', room, ARGV[2])
local members = redis.call('HLEN', room) - (stored and 1 or 0)
if not known and members >= tonumber(ARGV[4]) then return false end
local since = known and string.match(known, '^%d+') or now()
redis.call('HSET', room, ARGV[2], since .. ' ' .. ARGV[3])
save()
publish('j ' .. ARGV[2] .. ' ' .. since .. ' ' .. ARGV[3])
if ARGV[5] == '1' then return {redis.call('HGETALL', room), bare and {} or beside()} end
return {}
"""
)
"""Makes a peer a member."""

LEAVE = script(
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

SETTLE = script(
    _VALUES
    + """
-- ARGV: expiry, node, reason, whether it writes back, how many values it writes back, each key and value, then each
-- peer and its member; '' keeps the member as it is, if the peer is one.
-- Returns the room, the values beside it, and the removed members.
local listed, removed, changed = {}, {}, false
local first = 6 + 2 * ARGV[5]
for index = first, #ARGV, 2 do listed[ARGV[index]] = ARGV[index + 1] end
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
for index = 6, first - 1, 2 do
  local known = redis.pcall('HGET', values, ARGV[index])
  local version = type(known) ~= 'table' and version_of(known)
  if version and version < version_of(ARGV[index + 1]) then put(ARGV[index], ARGV[index + 1]) end
end
return {redis.call('HGETALL', room), beside(), removed}
"""
)
"""Makes a node's members in a room exactly those that are listed."""

READ = script(
    _ROOM
    + """
-- ARGV: expiry, key. Returns the value, or false.
local known = redis.pcall('HGET', values, ARGV[2])
return type(known) == 'table' and strange(known, values) or known
"""
)
"""Reads a value beside a room."""

SWAP = script(
    _VALUES
    + """
-- ARGV: expiry, key, version, node, milliseconds for which the value stays without a room, text, member or ''.
-- Returns 1; 0 if the value has another version; -1 if the peer is no member, or if nothing would keep the value.
local known = redis.pcall('HGET', values, ARGV[2])
if type(known) == 'table' then return strange(known, values) end
local version = version_of(known)
if not version then return strange(nil, values) end
if ARGV[7] ~= '' and not redis.call('HGET', room, ARGV[7]) then return -1 end
if not stored and ARGV[5] == '0' then return -1 end
if version ~= tonumber(ARGV[3]) then return 0 end
local time = tonumber(now())
local till = ARGV[5] == '0' and 0 or time + 1000 * ARGV[5]
-- The versions go by the clock, so that no value of a later room has the version of an earlier one
put(ARGV[2], string.format('%d %d %s ', math.max(version + 1, time), till, ARGV[4]) .. ARGV[6])
return 1
"""
)
"""Gives a value beside a room another text, if it still has the version that the caller knows."""

TOUCH = script(
    STRANGE
    + """
-- ARGV: expiry. Returns the version.
local stored = redis.pcall('HGET', KEYS[1], '')
if type(stored) == 'table' then return strange(stored, KEYS[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if stored then redis.call('PEXPIRE', KEYS[2], ARGV[1]) end
return stored
"""
)
"""Keeps a room from expiring."""
