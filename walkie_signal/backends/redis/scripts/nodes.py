"""The scripts about nodes: their leases, the removal of the dead, and what a node may do."""

from __future__ import annotations

from walkie_signal.backends.redis.scripts.script import STRANGE, script

BEAT = script(
    STRANGE
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

CLAIM = script(
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

FORGET = script(
    """
-- KEYS: the nodes, the generation, the claim. ARGV: node.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return 1
"""
)
"""Removes a node that has no members any more; the last node leaves nothing behind."""

NEEDED = script(
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
