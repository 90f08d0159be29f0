"""A set of keys that another server publishes (JWKS): kept, and fetched anew when a token names an unknown one."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from walkie_signal.auth.keys import Key, fitting, keys_of_set
from walkie_signal.auth.tokens import Header
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal")

AT_MOST_EACH = 60.0
"""Seconds between two tries to fetch the set, so that tokens with made-up key ids cause no flood of requests."""

FRESH = 600.0
"""Seconds after which a set is fetched anew though all keys are known, so that a key that was withdrawn goes."""

FETCHED_IN = 4.0
"""Seconds for the other server to answer; a host's `authenticate` has 5 by default."""

MOST_BYTES = 1 << 20
"""The longest document that is read; one of a large provider has some kilobytes."""


class RemoteKeys:
    """The keys of a URL. While its server is away, the keys that were fetched last are good.

    Args:
        url: Where the set is; ``https://``, or ``http://`` within a machine or a network of one's own.
        algorithms: The algorithms that tokens may have; ``None`` for those of the keys.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self, url: str, algorithms: Sequence[str] | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the URL of the keys has to begin with https:// or http://")
        self._url = url
        self._algorithms = algorithms
        self._clock = clock
        self._keys: list[Key] | None = None
        self._tried = -AT_MOST_EACH
        self._fetching: asyncio.Future[None] | None = None

    async def that_may_have_signed(self, header: Header) -> Iterable[Key]:
        """Return the keys that may have signed a token with such a header.

        Raises:
            SignalingError: ``unavailable``: the server of the keys has never answered.
        """
        found = fitting(self._keys or (), header)
        age = self._clock() - self._tried
        if (not found and age >= AT_MOST_EACH) or self._fetching is not None or age >= FRESH:
            fetching = self._fetching = self._fetching or asyncio.ensure_future(self._fetch())
            if not found:
                await asyncio.shield(fetching)
                found = fitting(self._keys or (), header)
        if self._keys is None:
            raise SignalingError("unavailable", "tokens can't be verified now", retryAfterMs=5000)
        return found

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            document = await asyncio.get_running_loop().run_in_executor(None, _document_at, self._url)
            self._keys = keys_of_set(document, self._algorithms)
        except (OSError, ValueError) as error:
            kept = "no token can be verified" if self._keys is None else "the keys of the last time are kept"
            log.warning("the keys of tokens can't be fetched; %s: %s", kept, error)
        finally:
            self._fetching = None


def _document_at(url: str) -> Any:
    """Fetch a document; it blocks.

    Raises:
        OSError: There is no answer, or not this document.
        ValueError: What came is not JSON, or too long.
    """
    asked = urllib.request.Request(url, headers={"accept": "application/json"})  # noqa: S310 - checked above
    with urllib.request.urlopen(asked, timeout=FETCHED_IN) as answer:  # noqa: S310 - likewise
        data = answer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError("it is too long")
    return json.loads(data)
