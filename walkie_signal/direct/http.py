"""An HTTP protocol class for uvicorn that bounds the head of a request, in bytes and in time.

    uvicorn app:app --http walkie_signal.direct:HttpProtocol

It is uvicorn's own class (for httptools if that is installed, otherwise for h11), and works for any app. It differs
in these points:

- A head over `HEAD_BYTES`, or with more lines than `HEAD_LINES`, is answered 431. It is counted as it comes, and so
  are the trailers of a chunked body. With httptools, uvicorn has no bound, and reads a long head in quadratic time.
- If no request is being answered on a connection, and it doesn't send a whole head within `HEAD_TIMEOUT`, it is
  closed. uvicorn only closes one that sends nothing at all between two requests.
- A request that comes before the one ahead of it is answered waits unread; uvicorn would make a task that waits.
- A connection that takes nothing of what it is sent for 10 s is aborted; uvicorn waits for ever.
- A request that asks for another upgrade than to a WebSocket is served as if it did not ask. With httptools,
  uvicorn takes its body for the next request.
- CONNECT is answered 400; with h11, uvicorn logs a traceback.
- If websockets can't read a request for a WebSocket, it is answered 400; uvicorn's class leaves it waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from walkie_signal.direct.bounds import HEAD_BYTES, INVALID, Bounded

if TYPE_CHECKING:
    from uvicorn.config import Config


class BoundedH11Protocol(Bounded, H11Protocol):
    """uvicorn's class for h11, with bounds."""

    def __init__(self, config: Config, *args: Any, **options: Any) -> None:
        if config.h11_max_incomplete_event_size is None:
            config.h11_max_incomplete_event_size = HEAD_BYTES  # otherwise 16 KiB
        super().__init__(config, *args, **options)

    def _in_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _in_new_head(self, scope: Any) -> bool:  # noqa: ARG002 - the class for httptools needs it
        return False  # h11 keeps the beginning of a head, which `_parse_piece` counts

    def _may_answer(self) -> bool:
        return self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def _should_upgrade(self) -> bool:
        """Tell whether a request is not for the app; h11 lets nobody answer a CONNECT as uvicorn does."""
        return self.scope["method"] == "CONNECT" or super()._should_upgrade()

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """Refuse a CONNECT; leave the transport of any other request to a WebSocket protocol."""
        if self.scope["method"] == "CONNECT":
            self.logger.warning(INVALID)
            self.send_400_response(INVALID)
        else:
            super().handle_websocket_upgrade(*event)

    def _parse_piece(self, piece: bytes) -> None:
        in_body = self._in_body()
        super()._parse_piece(piece)
        if self._in_body():  # h11 itself bounds its chunks and trailers
            self._read = self._lines = 0
        elif in_body:
            self._read = len(self.conn.trailing_data[0])


HttpProtocol: Any = BoundedH11Protocol

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:
    pass  # the extra `fast` is not installed
else:

    class BoundedHttpToolsProtocol(Bounded, HttpToolsProtocol):
        """uvicorn's class for httptools, with bounds."""

        parser: Any
        url: bytes
        headers: list[tuple[bytes, bytes]]

        def _in_body(self) -> bool:
            cycle = self.cycle
            return cycle is not None and cycle.more_body and cycle.scope is self.scope

        def _in_new_head(self, scope: Any) -> bool:
            cycle = self.cycle
            return self.scope is not scope and (cycle is None or cycle.scope is not self.scope)

        def on_body(self, body: bytes) -> None:
            """Count the bytes of a body."""
            self._body += len(body)
            super().on_body(body)

        def on_headers_complete(self) -> None:
            """Begin with a request, unless it asks for an upgrade that there is not."""
            if not self.parser.should_upgrade() or self._should_upgrade():
                super().on_headers_complete()

        def on_message_complete(self) -> None:
            """End a request; one that asks for an upgrade has no body yet."""
            if not self.parser.should_upgrade():
                super().on_message_complete()

        def _unsupported_upgrade_warning(self) -> None:
            """Read a request again without its wish for an upgrade.

            With it, httptools takes the body for what follows the upgrade, so that uvicorn would serve the request
            without its body, and then read the body as another request.
            """
            super()._unsupported_upgrade_warning()
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            if method == b"CONNECT":
                self.send_400_response(INVALID)
                return
            head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
            for name, value in self.headers:
                if name != b"upgrade":
                    head += [name, b": ", value, b"\r\n"]
            self.parser = type(self.parser)(self)
            HttpToolsProtocol.data_received(self, b"".join([*head, b"\r\n"]))

        def handle_websocket_upgrade(self, *event: Any) -> None:
            """Let go of the parser too: it and this object would keep one another alive, with the headers."""
            if self._is_answering():  # it came together with the body of the request before it
                self._upgrade_later = True
                return
            super().handle_websocket_upgrade(*event)
            self.parser = None

    HttpProtocol = BoundedHttpToolsProtocol
