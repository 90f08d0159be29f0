from __future__ import annotations

import pytest

from walkie_signal.settings.forms import is_web_url
from walkie_signal.webhook.receiver import Receiver


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "target"),
    [
        ("https://example.com", True, "example.com", None, "/"),
        ("http://Example.com:8080/a/b?key=1", False, "example.com", 8080, "/a/b?key=1"),
        ("https://[2001:db8::1]:443/?key", True, "2001:db8::1", 443, "/?key"),
        ("http://u:p@127.0.0.1/x", False, "127.0.0.1", None, "/x"),
    ],
)
def test_a_url_says_where_requests_go(
    url: str,
    secure: bool,  # noqa: FBT001
    host: str,
    port: int | None,
    target: str,
) -> None:
    assert is_web_url(url)
    found = Receiver.of_url(url)
    assert (found.secure, found.host, found.port, found.target) == (secure, host, port, target)


def test_user_and_password_become_a_header() -> None:
    assert Receiver.of_url("https://x/").authorization is None
    assert Receiver.of_url("https://user:p%40ss@x/").authorization == "Basic dXNlcjpwQHNz"


def test_what_a_log_shows_holds_no_secret() -> None:
    found = Receiver.of_url("https://user:hunter2@example.com:8443/of-the-path?key=of-the-query")
    assert str(found) == "example.com:8443"
    for secret in ("hunter2", "dXNlcjpodW50ZXIy", "of-the-path", "of-the-query"):
        assert secret not in repr(found)


@pytest.mark.parametrize(
    "url",
    ["x", "ftp://x", "https://", "https://:80", "http://x:0", "http://x:99999", "http://x/ y", "http://[::1"],
)
def test_what_is_no_url_of_a_web_server_is_refused(url: str) -> None:
    assert not is_web_url(url)
