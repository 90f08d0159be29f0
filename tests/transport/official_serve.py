"""``walkie-signal serve`` with the handlers of the official cases on it.

All else is the command's own: its listener, its options, uvicorn as it sets that up, the signaling namespace.
"""

from __future__ import annotations

from typing import Any

import engineio

import walkie_signal.asgi
from transport.official_app import answer_on, make_engine
from walkie_signal.cli import main

_attach = walkie_signal.asgi.attach


def attach(app: Any, **options: Any) -> Any:
    """Attach signaling as the command does, and ours."""
    attached = _attach(app, **options)
    answer_on(attached.sio)
    both = engineio.ASGIApp(make_engine(), attached)
    both.signaling, both.sio, both.transport = attached.signaling, attached.sio, attached.transport
    return both


if __name__ == "__main__":
    walkie_signal.asgi.attach = attach
    main()
