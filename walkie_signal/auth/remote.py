"""A set of keys that another server publishes (JWKS): kept, and fetched anew when a token names an unknown one."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from http.client import HTTPException
from math import inf
from typing import Any
from urllib.error import HTTPError

from walkie_signal.auth.keys import Key, fitting, keys_of_set
from walkie_signal.auth.tokens import Header
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal")

AT_MOST_EACH = 60.0
"""Seconds between two tries to fetch the set, so that tokens with made-up key ids cause no flood of requests."""

FRESH = 600.0
"""Seconds after which a set is fetched anew though all keys are known, so that a key that was withdrawn goes."""

FETCHED_IN = 4.0
"""Seconds for the whole answer of the other server; a host's `authenticate` has 5 by default."""

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
        self._tried = self._fetched = -inf
        self._fetching: asyncio.Future[None] | None = None
        self._asks = False

    async def that_may_have_signed(self, header: Header, *, ask: bool) -> Iterable[Key]:
        """Return the keys that may have signed a token with such a header; if none is known, `ask` for the set.

        Raises:
            SignalingError: ``unavailable``: the server of the keys has never answered.
        """
        now = self._clock()
        is_stale = now - self._fetched >= FRESH
        if is_stale or (ask and not fitting(self._keys or (), header)):
            if self._fetching is None and now - self._tried >= AT_MOST_EACH:
                self._fetching = asyncio.ensure_future(self._fetch())
            if self._fetching is not None:
                await asyncio.shield(self._fetching)
        if self._keys is None:
            raise SignalingError("unavailable", "tokens can't be verified now", retryAfterMs=5000)
        return fitting(self._keys, header)

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            document = await asyncio.wait_for(self._document(), FETCHED_IN)
            self._keys = keys_of_set(document, self._algorithms)
            self._fetched = self._clock()
        except (OSError, ValueError, RecursionError, HTTPException, asyncio.TimeoutError) as error:
            kept = "no token can be verified" if self._keys is None else "the keys of the last time are kept"
            log.warning(
                "the keys of tokens can't be fetched; %s: %s", kept, str(error) or type(error).__name__
            )
        finally:
            self._fetching = None

    async def _document(self) -> Any:
        """Fetch the document in a thread that neither the end of the process nor a later try waits for.

        Raises:
            OSError: A thread still waits for an earlier answer; and as `_document_at`.
        """
        if self._asks:
            raise OSError("its server is still about to answer the last time")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def tell(result: Any, error: Exception | None) -> None:
            if not answer.done():
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)

        def fetch() -> None:
            result, fault = None, None
            try:
                result = _document_at(self._url)
            except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
                fault = error
            self._asks = False
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, result, fault)

        self._asks = True
        threading.Thread(target=fetch, name="walkie-signal keys", daemon=True).start()
        return await answer


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to a place that is less safe, or of another kind."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: PLR0917 - the standard library's
        """Refuse what is neither https nor, if it was so before, http."""
        if not newurl.startswith(("https://", f"{req.type}://")):
            fp.close()
            raise OSError(f"it redirects to {newurl.partition(':')[0]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SafeRedirects)


def _document_at(url: str) -> Any:
    """Fetch a document; it blocks.

    Raises:
        OSError: There is no answer, or not this document.
        HTTPException: The answer is not HTTP.
        ValueError: What came is not JSON, or too long.
        RecursionError: It is too deep.
    """
    asked = urllib.request.Request(url, headers={"accept": "application/json"})  # noqa: S310 - checked above
    try:
        with _OPENER.open(asked, timeout=FETCHED_IN) as answer:
            data = answer.read(MOST_BYTES + 1)
    except HTTPError as refused:
        refused.close()
        raise OSError(f"it answers {refused.code}") from None
    if len(data) > MOST_BYTES:
        raise ValueError("it is too long")
    return json.loads(data)
