"""The environ that a host's connect handler gets, which is only built when somebody looks into it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from walkie_signal.transport.engineio.http import Environ

SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/socket.io/",
    "query_string": b"EIO=4&token=t",
    "headers": [
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x-forwarded-for", b"2.2.2.2"),
        (b"content-type", b"a/b"),
    ],
    "client": ("192.0.2.7", 40001),
    "scheme": "wss",
}


def test_it_holds_what_python_socketio_promises() -> None:
    environ = Environ(SCOPE)
    assert environ["asgi.scope"] is SCOPE
    assert environ["QUERY_STRING"] == "EIO=4&token=t"
    assert environ["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2"
    assert environ.get("CONTENT_TYPE") == "a/b"
    assert environ.get("HTTP_AUTHORIZATION", "none") == "none"
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.7", "40001")
    assert environ["wsgi.url_scheme"] == "https"
    with pytest.raises(KeyError, match="HTTP_AUTHORIZATION"):
        environ["HTTP_AUTHORIZATION"]


def test_it_is_a_mapping_like_any_other() -> None:
    for whole in (dict(Environ(SCOPE)), {**Environ(SCOPE)}, Environ(SCOPE).copy(), copy.copy(Environ(SCOPE))):
        assert whole["asgi.scope"] is SCOPE
        assert "HTTP_X_FORWARDED_FOR" in whole
        assert len(whole) == len(list(whole)) > 10
    environ = Environ(SCOPE)
    environ["host.user"] = "ann"
    assert environ["host.user"] == "ann"
    copied = copy.copy(environ)
    copied["host.user"] = "bob"
    assert environ["host.user"] == "ann"


def test_nothing_is_built_for_the_scope_alone() -> None:
    environ = Environ(SCOPE)
    assert environ["asgi.scope"] is SCOPE
    assert "data" not in vars(environ)
