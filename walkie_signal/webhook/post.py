"""One request at a time, in a thread: the event loop never waits for the receiver, and each request has an end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NamedTuple

from walkie_signal.webhook.receiver import Receiver


class Answer(NamedTuple):
    """What a request led to.

    Attributes:
        status: The HTTP status; ``None`` if none has come.
        words: The same for the log, without anything that the receiver has chosen.
        pause: Seconds that the receiver asks to be left alone; 0 if it does not.
    """

    status: int | None
    words: str
    pause: float = 0.0


class Poster:
    """Posts to one receiver. Each request has a connection of its own, so none fails because an old one was closed.

    Args:
        receiver: The receiver; its certificate is verified with the authorities of the system.
        timeout: Seconds for a whole request, from looking its name up to the headers of the answer.
    """

    def __init__(self, receiver: Receiver, timeout: float) -> None:
        self._receiver = receiver
        self._timeout = timeout
        self._context = ssl.create_default_context() if receiver.secure else None
        self._lingers: _Request | None = None

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body; returns what became of it, and raises nothing."""
        if self._lingers is not None and not self._lingers.is_over:
            return Answer(None, "the name of its host is still being looked up")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        request = _Request(self._receiver, self._context, self._timeout)

        def tell(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        def run() -> None:
            answer = request.run(headers, body)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, answer)

        try:
            threading.Thread(target=run, name="walkie-signal webhook", daemon=True).start()
        except RuntimeError as error:  # the machine has no more of them
            return Answer(None, str(error))
        self._lingers = request
        try:
            # `wait_for` of Python 3.11 and before may swallow a cancellation
            await asyncio.wait([answered], timeout=self._timeout)
        finally:
            request.cut()
        return answered.result() if answered.done() else _late(self._timeout)


class _Request:
    """A request under way.

    Attributes:
        is_over: Whether its thread has nothing more to do.
    """

    def __init__(self, receiver: Receiver, context: ssl.SSLContext | None, timeout: float) -> None:
        self._receiver = receiver
        self._context = context
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._is_cut = False
        self.is_over = False

    def run(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body; it blocks."""
        try:
            connection = self._connected()
            try:
                authorization = self._receiver.authorization
                given = {"authorization": authorization} if authorization else {}
                connection.request("POST", self._receiver.target, body, {**_HEADERS, **given, **headers})
                return _read(connection.getresponse())
            finally:
                connection.close()
        except TimeoutError:
            return _late(self._timeout)
        except (OSError, ValueError) as error:  # a name that can't be looked up is the latter
            words = getattr(error, "strerror", None) or str(error)
            return Answer(None, words or type(error).__name__)
        except HTTPException as error:  # its text quotes what came
            return Answer(None, f"its answer is not HTTP ({type(error).__name__})")
        finally:
            if self._socket is not None:
                self._socket.close()
            self.is_over = True

    def cut(self) -> None:
        """Let whatever `run` waits for end at once; only the look-up of a name can't be ended."""
        self._is_cut = True
        connected = self._socket
        if connected is not None:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # that of TLS would also drop its state

    def _connected(self) -> HTTPConnection:
        host, port = self._receiver.host, self._receiver.port
        if self._context is None:
            connection = HTTPConnection(host, port)
            connection.sock = self._opened(host, connection.port)
        else:
            connection = HTTPSConnection(host, port, context=self._context)
            plain = self._opened(host, connection.port)
            secured = self._context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            connection.sock = self._socket = secured
            self._go_on()
            secured.do_handshake()
        return connection

    def _opened(self, host: str, port: int) -> socket.socket:
        self._socket = opened = socket.create_connection((host, port), self._timeout)
        self._go_on()
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def _go_on(self) -> None:
        """Stop if `cut` came before there was a socket to cut.

        Raises:
            OSError: It did.
        """
        if self._is_cut:
            raise OSError("it took too long")


def _late(timeout: float) -> Answer:
    return Answer(None, f"no answer within {timeout:g} s")


_HEADERS = {"content-type": "application/json", "user-agent": "walkie-signal", "connection": "close"}


def _read(response: HTTPResponse) -> Answer:
    asked = response.getheader("retry-after", "")
    response.close()  # nobody needs its body
    return Answer(response.status, f"it answers {response.status}", float(asked) if _is_short(asked) else 0.0)


def _is_short(asked: str) -> bool:
    """Tell whether a receiver asks for a pause of some seconds, not for one until a date."""
    return asked.isascii() and asked.isdecimal() and len(asked) <= 9  # noqa: PLR2004 - more than 30 years
