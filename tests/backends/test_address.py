"""What a URL of a Redis server asks for is done, or refused before anything starts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from support.certificates import certificate
from walkie_signal.backends.redis.address import OPTIONS, Address
from walkie_signal.backends.urls import FORMS, UnusableURLError

SENTINELS = "redis+sentinel://"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://", "localhost:6379/0"),
        ("redis://h", "h:6379/0"),
        ("redis://:secret@h:1/3", "h:1/3"),
        ("redis://walkie:s%2Fe%40c@[::1]:1/3/", "[::1]:1/3"),
        ("redis://h/?db=4&username=walkie&password=secret", "h:6379/4"),
        ("rediss://h", "h:6379/0"),
        ("unix:///run/redis.sock?db=2&password=secret", "/run/redis.sock/2"),
        (f"{SENTINELS}a/walkie", "a:26379/walkie/0"),
        (f"{SENTINELS}walkie:secret@a,b:1,[::1],[::2]:3/walkie/5", "a:26379,b:1,[::1]:26379,[::2]:3/walkie/5"),
        ("rediss+sentinel://a/w?db=6&sentinel_password=secret", "a:26379/w/6"),
    ],
)  # fmt: skip
def test_these_are_forms(url: str, named: str) -> None:
    assert str(Address(url)) == named


@pytest.mark.promise(
    "Many nodes",
    "What a URL of Redis asks for is done, or refused at the start, with nothing of the password",
)
def test_who_logs_in() -> None:
    assert Address("redis://h").login == []
    assert Address("redis://:s%2Fe%40c@h").login == ["s/e@c"]
    assert Address("redis://walkie:secret@h").login == ["walkie", "secret"]
    assert Address("unix:///p?username=walkie&password=secret").login == ["walkie", "secret"]
    assert Address("redis://walkie@h").login == ["walkie", ""]
    both = Address(f"{SENTINELS}:one@h/s?sentinel_username=guard&sentinel_password=two")
    assert (both.login, both.sentinel_login) == (["one"], ["guard", "two"])


@pytest.mark.promise(
    "Many nodes",
    "What a URL of Redis asks for is done, or refused at the start, with nothing of the password",
)
@pytest.mark.parametrize(
    "url",
    [
        "redis://h:port", "redis://h/x", "redis://h/0/1", "redis://h/-1", "redis://[::1", "redis://h#x",
        "redis://h?db=x", "redis://h?db=-1", "redis://walkie:sec?ret@h/0", "redis://walkie:sec#ret@h/0",
        "redis://walkie:123/ret@h/0", "unix://", "unix://?db=1", f"{SENTINELS}h,/s", f"{SENTINELS}/s",
        f"{SENTINELS}h:port/s", f"{SENTINELS}h/s/x", f"{SENTINELS}h/s/0/1", f"{SENTINELS}walkie:123/ret@h/s",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UnusableURLError) as caught:
        Address(url)
    assert str(caught.value) == FORMS
    assert "ret" not in str(caught.value)


@pytest.mark.promise(
    "Many nodes",
    "What a URL of Redis asks for is done, or refused at the start, with nothing of the password",
)
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://h?socket_timeout=5", "socket_timeout: there is no such option; there are db, password, ssl_ca_c"),
        ("redis://h?db=1&db=2", "db: it is given twice"),
        ("redis://h/1?db=2", "db: the path names another database"),
        (f"{SENTINELS}h/s/1?db=2", "db: the path names another database"),
        ("redis://walkie@h?username=another", "username: it is given before the host too"),
        ("redis://:secret@h?password=another", "password: it is given before the host too"),
        ("redis://h?sentinel_username=x", "sentinel_username: there is no such option"),
        ("rediss://h?ssl_chek_hostname=false", "ssl_chek_hostname: there is no such option"),
        ("rediss://h?ssl_check_hostname=maybe", "ssl_check_hostname: one of true, false"),
        ("rediss://h?ssl_check_hostname=", "ssl_check_hostname: it has no value"),
        ("rediss://h?ssl_cert_reqs=nothing", "ssl_cert_reqs: one of required, optional, none"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs: TLS is what a URL with rediss"),
        ("unix:///p?ssl_ca_certs=x", "ssl_ca_certs: TLS is what a URL with rediss"),
        ("rediss://h?ssl_keyfile=x", "ssl_keyfile, ssl_password: they go with ssl_certfile"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=true", "ssl_check_hostname=true: with ssl_cert"),
        ("rediss://h?ssl_ca_path=/missing", "a file of its ssl_ options can't be used: No such file"),
        ("rediss://h?ssl_ca_certs=/missing", "a file of its ssl_ options can't be used: No such file"),
        (f"rediss://h?ssl_ca_certs={__file__}", "a file of its ssl_ options can't be used: "),
        ("redis+sentinel://h", "the sentinels have to be told a service: redis+sentinel://host"),
        ("redis+sentinel://h/", "the sentinels have to be told a service"),
        ("redis+sentinel://h/s?sentinel_ssl=true", "sentinel_ssl: TLS is what rediss+sentinel://"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused_with_what_would(url: str, told: str) -> None:
    with pytest.raises(UnusableURLError) as caught:
        Address(url)
    assert str(caught.value).startswith(told)


NO = (ssl.CERT_NONE, False)
CHAIN = (ssl.CERT_REQUIRED, False)
ALL = (ssl.CERT_REQUIRED, True)


@pytest.mark.promise(
    "Many nodes",
    "What a URL of Redis asks for is done, or refused at the start, with nothing of the password",
)
@pytest.mark.parametrize(
    ("options", "verifies"),
    [
        ("", ALL),
        *[(f"ssl_cert_reqs={value}", NO) for value in ("none", "None", "NONE", "CERT_NONE", "cert_none")],
        *[(f"ssl_cert_reqs={value}", ALL) for value in ("required", "CERT_REQUIRED", "optional")],
        *[(f"ssl_check_hostname={value}", CHAIN) for value in ("false", "False", "0", "no", "n", "f")],
        *[(f"ssl_check_hostname={value}", ALL) for value in ("true", "True", "1", "yes", "y", "t")],
        ("ssl_cert_reqs=none&ssl_check_hostname=false", NO),
    ],
)
def test_what_of_a_server_is_verified(options: str, verifies: tuple[ssl.VerifyMode, bool]) -> None:
    context = Address(f"rediss://h?{options}").tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == verifies


def test_a_certificate_of_the_node_s_own(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    files = f"ssl_certfile={certfile}&ssl_keyfile={keyfile}"
    Address(f"rediss://h?{files}&ssl_ca_certs={certfile}&ssl_ca_path={tmp_path}&ssl_password=of-none")
    with pytest.raises(UnusableURLError, match="a file of its ssl_ options"):
        Address(f"rediss://h?ssl_certfile={certfile}&ssl_keyfile={certfile}")


def test_sentinels_are_asked_by_tls_unless_they_are_not() -> None:
    for url, server, sentinel in (
        ("redis+sentinel://h/s", False, False),
        ("rediss+sentinel://h/s", True, True),
        ("rediss+sentinel://h/s?sentinel_ssl=false", True, False),
    ):
        address = Address(url)
        assert (address.tls() is not None, address.tls(sentinel=True) is not None) == (server, sentinel)


def test_all_options_are_tried_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [name for name in OPTIONS if f"{name}=" not in text] == []
