"""What Redis lets this node do: what it needs is tried at the start, and what is only housekeeping may be refused.

Managed servers and access lists refuse commands, some of them as if there were no such command.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import hiredis

from walkie_signal.backends.redis.wire import Wire

log = logging.getLogger("walkie_signal.redis")

_REFUSAL = re.compile(
    r"NOPERM|ERR\b.*\b(?:not (?:allowed|permitted|supported)|disabled|unsupported)"
    r"|.*(?:unknown (?:redis )?(?:sub)?command|can't run this command|can't access at least one|ACL failure)",
    re.IGNORECASE,
)
"""How the error begins that says that a command is refused; scripts get other words for it than connections."""


def refuses(error: str) -> bool:
    """Tell whether the text of an error says that a command is refused to this user, or to everybody."""
    return _REFUSAL.match(error) is not None


def is_refusal(answer: Any) -> bool:
    """Tell whether Redis' answer is such an error."""
    return isinstance(answer, hiredis.ReplyError) and refuses(str(answer))


class Housekeeping:
    """Asks for what is good to have; each command that is refused is named once.

    Args:
        address: The server's, for the log.
    """

    def __init__(self, address: object) -> None:
        self._address = address
        self._refused: set[str] = set()

    async def ask(self, wire: Wire, command: str, part: str, *arguments: str | int) -> Any:
        """Send a request; returns its answer, or ``None`` if it is refused.

        Raises:
            hiredis.ReplyError: Any other error.
            Lost: The connection ended before.
        """
        try:
            return await wire.ask(command, part, *arguments)
        except hiredis.ReplyError as error:
            if not is_refusal(error):
                raise
            name = f"{command} {part}"
            if name not in self._refused:
                self._refused.add(name)
                log.warning("Redis at %s: it refuses %s; the node goes on without it", self._address, name)
            return None
