"""A script in Lua, and what scripts have in common."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A script, and the hash by which it is called."""

    source: str
    sha: str


def script(source: str) -> Script:
    """Make a script of its source."""
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


STRANGE = """
local function strange(answer, key)
  if answer and not string.find(answer.err, 'WRONGTYPE', 1, true) then return answer end
  return redis.error_reply('STRANGE ' .. key .. ' holds a value that no node writes')
end
"""
"""Makes the answer of a script that has found a strange key; any other error stays as it is."""
