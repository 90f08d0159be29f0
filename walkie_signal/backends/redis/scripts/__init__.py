"""What Redis does in one step: scripts in Lua, each with the keys of one hash slot.

    rooms    a room and the values beside it        nodes    leases, the dead, and what a node may do
    script   what they have in common

If a script finds a key with anything in it that no node writes, it writes nothing and answers STRANGE (`strange`).
The scripts need Redis 6.2 or Valkey.
"""

from walkie_signal.backends.redis.scripts.nodes import BEAT, CLAIM, FORGET, NEEDED, STRANGE_CLAIM
from walkie_signal.backends.redis.scripts.rooms import JOIN, LEAVE, READ, SETTLE, SWAP, TOUCH
from walkie_signal.backends.redis.scripts.script import Script

ALL = (NEEDED, JOIN, LEAVE, SETTLE, READ, SWAP, TOUCH, BEAT, CLAIM, FORGET)

__all__ = [
    "ALL",
    "BEAT",
    "CLAIM",
    "FORGET",
    "JOIN",
    "LEAVE",
    "NEEDED",
    "READ",
    "SETTLE",
    "STRANGE_CLAIM",
    "SWAP",
    "TOUCH",
    "Script",
]
