"""Where a Redis server is and how to speak to it, read from a URL of redis-py's forms, or of ours for Sentinel.

What a URL asks for is done or refused, because its author would rely on an option that does nothing. Errors only
repeat parts of the URL that are names of ours, because any other part may belong to a password that was not
encoded.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import parse_url

from walkie_signal.backends.urls import FORMS, SENTINEL, UnusableURLError

PORT, SENTINEL_PORT = 6379, 26379

TLS_OPTIONS = frozenset({
    "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile",
    "ssl_password",
})  # fmt: skip
SENTINEL_OPTIONS = frozenset({"sentinel_password", "sentinel_ssl", "sentinel_username"})
OPTIONS = frozenset({"db", "password", "username"}) | TLS_OPTIONS | SENTINEL_OPTIONS

FALSE, TRUE = ("0", "f", "false", "n", "no"), ("1", "t", "true", "y", "yes")
"""redis-py's words; redis-py takes any other word as true."""

REQUIREMENTS = {
    "none": ssl.CERT_NONE, "cert_none": ssl.CERT_NONE,
    "required": ssl.CERT_REQUIRED, "cert_required": ssl.CERT_REQUIRED,
    # Python treats it as "required" when it connects to a server
    "optional": ssl.CERT_REQUIRED, "cert_optional": ssl.CERT_REQUIRED,
}  # fmt: skip
"""redis-py's words for `ssl_cert_reqs`, and Celery's."""


class Address:
    """A Redis server, or the sentinels that know which one it is.

    Attributes:
        hosts: Names and ports of the server or of the sentinels; empty for a Unix socket.
        path: The path of the Unix socket, or ``None``.
        service: The sentinels' name for the server; ``None`` without sentinels.
        database: The number of the database.
        login: The arguments of AUTH; empty without a password.
        sentinel_login: The arguments of AUTH for the sentinels.

    Raises:
        UnusableURLError: `url` asks for something that can't be done, or names a file that can't be used.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self._tls = scheme.startswith("rediss")
        sentinel = scheme.endswith(SENTINEL)
        options = _options(url, sentinel=sentinel, tls=self._tls)
        hosts = self._hosts(rest, SENTINEL_PORT) if sentinel else ()
        parsed = _parsed(_of_one_host(scheme, rest) if sentinel else url)
        self.service, self.database = _service_and_database(url, parsed, sentinel=sentinel)
        self.path: str | None = parsed.get("path")
        one = (parsed.get("host", "localhost"), int(parsed.get("port", PORT)))
        self.hosts: tuple[tuple[str, int], ...] = hosts or ((one,) if self.path is None else ())
        self.login = _login(parsed.get("username"), parsed.get("password"))
        self.sentinel_login = _login(options.get("sentinel_username"), options.get("sentinel_password"))
        self._sentinel_tls = _truth(options, "sentinel_ssl", default=self._tls)
        if self._sentinel_tls and not self._tls:
            raise UnusableURLError(f"sentinel_ssl: TLS is what rediss{SENTINEL}:// asks for")
        self._tls_options = {key: value for key, value in options.items() if key in TLS_OPTIONS}
        try:
            self.tls()
        except OSError as error:  # an ssl.SSLError is one
            raise UnusableURLError(
                f"a file of its ssl_ options can't be used: {error.strerror or error}"
            ) from None

    @staticmethod
    def _hosts(rest: str, port: int) -> tuple[tuple[str, int], ...]:
        netloc = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        try:
            each = [urlsplit(f"//{one}") for one in netloc.split(",")]
            found = tuple((one.hostname or "", one.port or port) for one in each)
        except ValueError:
            raise UnusableURLError(FORMS) from None
        if not all(host for host, _ in found):
            raise UnusableURLError(FORMS)
        return found

    def __str__(self) -> str:
        """Name the server without its secrets."""
        named = self.path or ",".join(at(host, port) for host, port in self.hosts)
        service = f"/{self.service}" if self.service is not None else ""
        return f"{named}{service}/{self.database}"

    def tls(self, *, sentinel: bool = False) -> ssl.SSLContext | None:
        """Return the context to verify the server with, or ``None`` if the URL asks for no TLS.

        Raises:
            OSError: One of the files can't be read, or is not what it should be.
        """
        if not (self._sentinel_tls if sentinel else self._tls):
            return None
        options = self._tls_options
        requirement = REQUIREMENTS.get(options.get("ssl_cert_reqs", "required").lower())
        if requirement is None:
            raise UnusableURLError("ssl_cert_reqs: one of required, optional, none")
        if "ssl_ca_path" in options:
            next(Path(options["ssl_ca_path"]).iterdir(), None)  # OpenSSL ignores a folder that is not there
        context = ssl.create_default_context(
            cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path")
        )
        if "ssl_certfile" in options:
            context.load_cert_chain(
                options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password", "")
            )
        verified = requirement != ssl.CERT_NONE
        if "ssl_check_hostname" in options and _truth(options, "ssl_check_hostname", default=True) > verified:
            raise UnusableURLError("ssl_check_hostname=true: with ssl_cert_reqs=none nothing is verified")
        context.check_hostname = _truth(options, "ssl_check_hostname", default=verified)
        context.verify_mode = requirement
        return context


def at(host: str, port: int) -> str:
    """Write a host or an address with its port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _options(url: str, *, sentinel: bool, tls: bool) -> dict[str, str]:
    """Read the options of a URL."""
    query = _query(url)
    if "#" in url or "@" in query:  # most likely, these were meant to be in a password
        raise UnusableURLError(FORMS)
    written = parse_qsl(query, keep_blank_values=True)
    options = dict(written)
    faults = chain(_faults(options, sentinel=sentinel, tls=tls), _contradictions(url, [*options], written))
    fault = next(faults, None)
    if fault is not None:
        raise UnusableURLError(fault)
    return options


def _query(url: str) -> str:
    try:
        return urlsplit(url.replace("#", "%23")).query
    except ValueError:  # its text may hold a part of the password
        raise UnusableURLError(FORMS) from None


def _faults(options: dict[str, str], *, sentinel: bool, tls: bool) -> Iterator[str]:
    known = sorted(OPTIONS if sentinel else OPTIONS - SENTINEL_OPTIONS)
    for name, value in options.items():
        if name not in known:
            yield f"{name}: there is no such option; there are {', '.join(known)}"
        if not value:
            yield f"{name}: it has no value"
        if name in TLS_OPTIONS and not tls:
            yield f"{name}: TLS is what a URL with rediss in place of redis asks for"
    if "ssl_certfile" not in options and options.keys() & {"ssl_keyfile", "ssl_password"}:
        yield "ssl_keyfile, ssl_password: they go with ssl_certfile"


def _contradictions(url: str, names: list[str], written: list[tuple[str, str]]) -> Iterator[str]:
    """Yield what a URL says twice: only one of the two would be done."""
    for name in names:
        if sum(name == each for each, _ in written) > 1:
            yield f"{name}: it is given twice"
    userinfo = urlsplit(url)
    for name, before_host in (("username", userinfo.username), ("password", userinfo.password)):
        if before_host and name in names:
            yield f"{name}: it is given before the host too"


def _parsed(url: str) -> dict[str, Any]:
    try:
        parsed = dict(parse_url(url))
    except ValueError:  # its text may hold a part of the password
        raise UnusableURLError(FORMS) from None
    if url.startswith("unix:") and "path" not in parsed:
        raise UnusableURLError(FORMS)
    return parsed


def _of_one_host(scheme: str, rest: str) -> str:
    """Return a URL with one host in place of the sentinels, so that redis-py can read the rest."""
    userinfo, found, _ = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    query = rest.partition("?")[2]
    return f"{scheme.removesuffix(SENTINEL)}://{userinfo}{found}sentinels?{query}"


def _service_and_database(url: str, parsed: dict[str, Any], *, sentinel: bool) -> tuple[str | None, int]:
    """Read the path, which holds a database, or a service and a database."""
    parts = [unquote(part) for part in urlsplit(url).path.split("/")[1:]] if "path" not in parsed else []
    service = parts.pop(0) if sentinel and parts else ""
    if sentinel and not service:
        raise UnusableURLError(
            f"the sentinels have to be told a service: redis{SENTINEL}://host:26379/service/0"
        )
    written = parts[0] if parts and parts[0] else "0"
    if any(parts[1:]) or not re.fullmatch(r"\d{1,9}", written) or parsed.get("db", 0) < 0:
        raise UnusableURLError(FORMS)
    database = int(parsed.get("db", written))
    if parts and parts[0] and database != int(written):
        raise UnusableURLError("db: the path names another database")
    return service if sentinel else None, database


def _login(username: str | None, password: str | None) -> list[str]:
    if username:
        return [username, password or ""]  # a user of Redis may need no password
    return [password] if password is not None else []


def _truth(options: dict[str, str], name: str, *, default: bool) -> bool:
    value = options.get(name, str(default)).lower()
    if value not in FALSE + TRUE:
        raise UnusableURLError(f"{name}: one of true, false")
    return value in TRUE
