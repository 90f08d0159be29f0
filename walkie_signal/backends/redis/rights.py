"""What Redis lets this node do. The commands that it needs are tried at the start; housekeeping may be refused.

Managed servers and access lists refuse commands; for some, they answer as if there were no such command.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import hiredis

from walkie_signal.backends.redis.wire import Wire, text_of

log = logging.getLogger("walkie_signal.redis")

_REFUSAL = re.compile(
    r"NOPERM|ERR\b.*\b(?:not (?:allowed|available|permitted|support(?:ed)?)|disabled|forbid|restricted)\b"
    r"|.*(?:unknown (?:redis )?(?:sub)?command|\bunsupport(?:ed)? command|ACL failure)"
    r"|.*(?:can't run this command|can't access at least one|can't publish to|lacking the permissions)",
    re.IGNORECASE,
)
"""The beginnings of errors which say that a command is refused; scripts get other texts than connections.

The last line is Redis 6.2's. Providers have their own texts: "Command is not available" is Upstash's, "not support
for normal user" Alibaba's, "unsupported command" Envoy's.
"""

_PASSING = ("ERR max number of clients",)
"""The beginnings of errors without a code of their own that say nothing of a command."""


def refuses(error: str) -> bool:
    """Tell whether the text of an error says that a command is refused, to this user or to everybody."""
    return _REFUSAL.match(error) is not None


def is_refusal(answer: Any) -> bool:
    """Tell whether Redis' answer is such an error."""
    return isinstance(answer, hiredis.ReplyError) and refuses(text_of(answer))


def _can_be_done_without(error: hiredis.ReplyError) -> bool:
    """Tell whether an answer to housekeeping says that it won't be done, in whatever words a server has for it."""
    text = text_of(error)
    return refuses(text) or (text.startswith("ERR ") and not text.startswith(_PASSING))


class Housekeeping:
    """Asks for what is useful but not needed; if a command is refused, the log names it once.

    Args:
        address: The address of the server, for the log.
    """

    def __init__(self, address: object) -> None:
        self._address = address
        self._refused: set[str] = set()

    async def ask(self, wire: Wire, command: str, part: str, *arguments: str | int) -> Any:
        """Send a request; returns its answer, or ``None`` if it is refused.

        Raises:
            hiredis.ReplyError: Any other error.
            LostError: The connection ended before.
        """
        try:
            return await wire.ask(command, part, *arguments)
        except hiredis.ReplyError as error:
            if not _can_be_done_without(error):
                raise
            name = f"{command} {part}"
            if name not in self._refused:
                self._refused.add(name)
                log.warning("Redis at %s: it refuses %s; the node goes on without it", self._address, name)
            return None
