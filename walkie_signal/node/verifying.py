"""How it is found out who somebody is, at connect and whenever a fresh token is shown."""

from __future__ import annotations

from collections.abc import Callable

from walkie_signal.core.identity import Credentials, Identity
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.limits import Limits


class Verifier:
    """Asks the host who shows credentials, and counts the bad ones of each address."""

    def __init__(self, host: Host, limits: Limits) -> None:
        self._host = host
        self._limits = limits

    async def verify(self, address: str | None, read: Callable[[bool], Credentials]) -> Identity | None:
        """Return who shows credentials; ``None`` if the host has no `authenticate`.

        Args:
            address: Where they come from; ``None`` if that is not known.
            read: Reads the credentials, given their `Credentials.is_suspect`.

        Raises:
            SignalingError: ``unauthorized`` if the host refuses, with ``retryAfterMs`` after too many from that
                address; ``internal`` if its function fails.
        """
        is_suspect = self._limits.is_suspect(address)
        try:
            return await self._host.authenticate(lambda: read(is_suspect))
        except SignalingError as error:
            if error.code != "unauthorized":
                raise
            raise self._limits.count_bad_credential(address, error) from None
