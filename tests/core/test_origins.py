"""Which origins a list lets in, however both are written, and what in a list is refused."""

from __future__ import annotations

import pytest

from walkie_signal.core.origins import LONGEST, Origins

pytestmark = pytest.mark.promise(
    "Hosts",
    "Every way in checks origins by the same rules: matches, values refused at the start, the server's own "
    "host, one log line for a refusal",
)

ELSEWHERE = "signal.example.net"
"""The server's own host."""


def allows(named: str, asking: str) -> bool:
    return Origins([named]).allow(asking, ELSEWHERE, secure=True)


@pytest.mark.parametrize("named", ["https://example.com", "HTTPS://EXAMPLE.com/", "https://example.com:443"])
@pytest.mark.parametrize("asking", ["https://example.com", "https://Example.COM", "https://example.com:443"])
def test_case_default_port_and_last_slash_are_no_difference(named: str, asking: str) -> None:
    assert allows(named, asking)


@pytest.mark.parametrize(
    "asking",
    [
        "http://example.com",
        "https://example.com:8443",
        "https://www.example.com",
        "https://example.com.evil.example",
        "https://evil.example/https://example.com",
        "https://example.com@evil.example",
        "https://evilexample.com",
        "https://example.com/path",
        "https://example.com, https://example.com",
        "example.com",
        "null",
        "",
        "*",
        "https://*.example.com",
        "https://exämple.com",
        f"https://{'a' * LONGEST}.example.com",
    ],
)
def test_any_other_origin_is_another(asking: str) -> None:
    assert not allows("https://example.com", asking)
    assert not allows("https://*.other.example", asking)


@pytest.mark.parametrize(
    ("asking", "allowed"),
    [
        ("https://app.example.com", True),
        ("https://a.b.c.example.com", True),
        ("https://APP.example.com:443", True),
        ("https://example.com", False),
        ("https://.example.com", False),
        ("https://evilexample.com", False),
        ("https://app.example.com.evil.example", False),
        ("https://app.example.com:8443", False),
        ("http://app.example.com", False),
        ("https://*.example.com", False),
    ],
)
def test_a_star_stands_for_each_host_below_to_any_depth(asking: str, allowed: bool) -> None:  # noqa: FBT001
    assert allows("https://*.example.com", asking) is allowed


def test_a_star_goes_with_a_port_and_with_any_scheme() -> None:
    assert allows("http://*.lan.example:3000", "http://desk.lan.example:3000")
    assert not allows("http://*.lan.example:3000", "http://desk.lan.example")
    assert allows("app://*.bundle", "app://main.bundle")


@pytest.mark.parametrize(
    ("named", "asking"),
    [
        ("null", "null"),
        ("file://", "file://"),
        ("file:///", "file://"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("capacitor://localhost/", "capacitor://localhost"),
        ("ionic://localhost", "ionic://localhost"),
        ("app://", "app://"),
        ("app://-", "app://-"),
        ("tauri://localhost", "tauri://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://192.0.2.7:3000", "http://192.0.2.7:3000"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_shells_of_apps_and_addresses_can_be_named(named: str, asking: str) -> None:
    assert allows(named, asking)
    assert not allows(named, "https://example.com")
    assert not allows("https://example.com", asking)


@pytest.mark.parametrize(
    ("host", "secure", "origin", "allowed"),
    [
        ("example.com", True, "https://example.com", True),
        ("Example.com:443", True, "https://example.com", True),
        ("example.com:8443", True, "https://example.com:8443", True),
        ("example.com:8000", False, "http://example.com:8000", True),
        ("[::1]:8000", False, "http://[::1]:8000", True),
        ("example.com", False, "https://example.com", True),  # a proxy has taken the TLS away
        ("example.com", True, "http://example.com", False),  # anybody on the way may have written that page
        ("example.com", True, "wss://example.com", True),  # Socket.IO's client for Swift
        ("example.com", False, "ws://example.com", True),
        ("example.com", True, "https://example.com:8443", False),
        ("example.com", True, "https://app.example.com", False),
        ("example.com", True, "null", False),
        ("", True, "https://example.com", False),
        ("", True, "https://", False),
        ("evil.example/@example.com", True, "https://example.com", False),
        ("localhost", False, "capacitor://localhost", False),
    ],
)
def test_a_page_of_the_own_host_passes(host: str, secure: bool, origin: str, allowed: bool) -> None:  # noqa: FBT001
    for named in ([], ["https://other.example"]):
        assert Origins(named).allow(origin, host, secure=secure) is allowed


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("example.com", "no scheme: write https://example.com"),
        ("localhost:3000", "no scheme: write http://localhost:3000"),
        ("//example.com", "no scheme: write https://example.com"),
        ("https:/example.com", "no scheme: write https://example.com"),
        ("http:/example.com", "no scheme: write http://example.com"),
        ("*", "it is every origin: leave the others out$"),
        ("*.example.com", r"a \* that is not at the beginning .*as in https://\*\.example\.com"),
        ("https://*", r"a \* that is not at the beginning"),
        ("https://a.*.example.com", r"a \* that is not at the beginning"),
        ("https://*.*.example.com", r"a \* that is not at the beginning"),
        ("https://ex*mple.com", r"a \* that is not at the beginning"),
        ("http://localhost:*", r"a \* that is not at the beginning"),
        ("http://*.0.0.1", "no valid host"),
        ("http://*.127.0.0.1", r"a \* that is not before a domain"),
        ("http://*.[::1]", r"a \* that is not before a domain"),
        ("app://*.", r"a \* that is not before a domain"),
        ("https://example.com/app", "a path or a query.* write https://example.com$"),
        ("https://example.com//", "a path or a query"),
        ("https://example.com?x=1", "a path or a query.* write https://example.com$"),
        ("https://example.com#top", "a path or a query"),
        ("file:///home/me/page.html", "a path or a query.* write file://$"),
        ("https://me:secret@example.com", "user information.* write https://example.com$"),
        ("wss://example.com", "of a WebSocket: write the scheme of the page, https://"),
        ("ws://*.example.com", "of a WebSocket: write the scheme of the page, http://"),
        ("https://one.example,https://two.example", "give each origin by itself"),
        ("https://one.example https://two.example", "give each origin by itself"),
        (" https://example.com", "give each origin by itself"),
        ("https://", "no valid host"),
        ("https://-_-..example", "no valid host"),
        ("https://[::g]", "no valid host"),
        ("https://127.1", "no valid host"),
        ("https://example.com:", "no valid port"),
        ("https://example.com:65536", "no valid port"),
        ("https://bücher.example", "xn--"),
        ("https://" + "a" * LONGEST, "is longer than"),
        ("", "is empty"),
        ("*", "leave the others out"),
        (None, "not a string"),
        (b"https://example.com", "not a string"),
    ],
)
def test_what_lets_nobody_in_is_refused_with_what_would_do(named: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)lets nobody in: .*{reason}"):
        Origins(["https://example.org", named])
