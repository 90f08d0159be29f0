"""Calls the host's own functions in such a way that none of them can hold up the service.

Each function has a deadline. If it is not async, it runs in a bounded pool of threads, so that a database look-up
does not stop the event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.identity import Credentials, Identity
from walkie_signal.errors import CredentialRefused, SignalingError
from walkie_signal.settings import Settings

log = logging.getLogger("walkie_signal")

Verified = Identity | Mapping[str, Any] | None
Authenticate = Callable[[Credentials], Verified | Awaitable[Verified]]
Authorize = Callable[[Identity, str], bool | Awaitable[bool]]
OnJoin = Callable[[Member], object]
OnLeave = Callable[[Member, Reason], object]


class Host:
    """The functions that the host has given us to call; ``None`` for those that it has not given.

    Attributes:
        on_join: Tells the host of a new member; ``None`` if it has no such hook.
        on_leave: Tells the host of a member that is gone, with the reason; ``None`` if it has no such hook.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        authenticate: Authenticate | None = None,
        authorize: Authorize | None = None,
        on_join: OnJoin | None = None,
        on_leave: OnLeave | None = None,
    ) -> None:
        self._settings = settings
        self._authenticate = authenticate
        self._authorize = authorize
        self.on_join: Callable[[Member], Awaitable[None]] | None = (
            None if on_join is None else partial(self._tell, "on_join", on_join)
        )
        self.on_leave: Callable[[Member, Reason], Awaitable[None]] | None = (
            None if on_leave is None else partial(self._tell, "on_leave", on_leave)
        )
        self._threads: ThreadPoolExecutor | None = None
        self._lines = BoundedLog(log)

    @property
    def verifies(self) -> bool:
        """Whether the host says who a connection is."""
        return self._authenticate is not None

    async def authenticate(self, read: Callable[[], Credentials]) -> Identity | None:
        """Ask who a connection with the credentials from `read` is; ``None`` if the host has no `authenticate`.

        Raises:
            CredentialRefused: The host refuses, or the identity is larger than the settings allow.
            SignalingError: ``internal`` if its function fails; whatever it raises itself.
        """
        if self._authenticate is None:
            return None
        try:
            verified = await self._call(self._authenticate, read())
            if isinstance(verified, Mapping):
                verified = Identity.from_mapping(verified)
            if verified is not None and not isinstance(verified, Identity):
                raise TypeError(f"it returned {type(verified).__name__}, not an Identity, a mapping or None")
        except Exception as error:
            raise self._fault("authenticate", error) from error
        if verified is None:
            raise CredentialRefused("")
        verified.check_lengths(self._settings)
        return verified

    async def authorize(self, identity: Identity, room: str) -> bool:
        """Ask whether a peer may join a room.

        Raises:
            SignalingError: ``internal`` if the host's function fails.
        """
        if self._authorize is None:
            return True
        try:
            return bool(await self._call(self._authorize, identity, room))
        except Exception as error:
            raise self._fault("authorize", error) from error

    def close(self) -> None:
        """Let go of the threads. A call that is under way in one of them goes on to its end."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _tell(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        try:
            await self._call(function, *arguments)
        except Exception as error:  # noqa: BLE001 - the host's function may raise anything
            self._failed(name, error)

    def _fault(self, name: str, error: Exception) -> SignalingError:
        """Turn an exception of a host's function into an answer; a `SignalingError` is one already."""
        if isinstance(error, SignalingError):
            return error
        self._failed(name, error)
        return SignalingError("internal", "internal error")

    def _failed(self, name: str, error: Exception) -> None:
        self._lines.write(logging.ERROR, name, "%s failed", name, fault=error)

    async def _call(self, function: Callable[..., Any], *arguments: object) -> Any:
        pending = function(*arguments) if _is_async(function) else self._in_thread(function, *arguments)
        task = asyncio.ensure_future(pending)
        try:
            await asyncio.wait({task}, timeout=self._settings.callback_timeout)
        finally:
            if not task.done():
                task.add_done_callback(_read)
                task.cancel()
        if not task.done():
            raise TimeoutError(f"no answer within {self._settings.callback_timeout} s")
        if task.cancelled():
            raise RuntimeError("it was cancelled")
        return task.result()

    async def _in_thread(self, function: Callable[..., Any], *arguments: object) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._settings.callback_threads, "walkie-signal")
        call = partial(contextvars.copy_context().run, function, *arguments)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        return await answer if inspect.isawaitable(answer) else answer


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def _read(task: asyncio.Future[Any]) -> None:
    """Look at the outcome of a call that nobody awaits any more, because asyncio complains otherwise."""
    if not task.cancelled():
        task.exception()
