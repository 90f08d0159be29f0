"""nginx and Caddy on loopback, each with a file of ``docs/examples``, in which only addresses are others."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from support.processes import Program, running
from support.servers import free_port
from support.waiting import eventually
from support.wire import listens

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

DOCUMENTED = ("127.0.0.1:8000", "192.0.2.11:8001", "192.0.2.12:8002")
"""The servers behind a proxy, as the examples have them."""

NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""

CADDY = """\
{{
	admin off
	auto_https off
	default_bind 127.0.0.1
	storage file_system {folder}/storage
	log {{
		level WARN
	}}
}}
import {folder}/site
"""


BESIDE = {"nginx-old-port.conf": "nginx.conf"}
"""An example that is used beside another one, which listens elsewhere."""

SOCKET = "/run/walkie-signal/signal.sock"
"""The Unix socket of ``--uds``, as the comments of the examples have it."""


def _site(name: str, listening: str, port: int, endpoints: tuple[str, ...]) -> str:
    """Return an example with the ports of a test; `listening` says where it listens, with a group for the port."""
    text, found = re.subn(
        rf"(?m)^(\s*{listening})", lambda at: _with_port(at, port), (EXAMPLES / name).read_text()
    )
    assert found == 1, f"where does {name} listen?"
    if name in BESIDE:
        text += _site(BESIDE[name], listening, free_port(), endpoints)
    if endpoints[0].startswith("/"):
        return _by_socket(text, endpoints[0])
    documented = DOCUMENTED[:1] if len(endpoints) == 1 else DOCUMENTED[1:]
    for address, endpoint in zip(documented, endpoints, strict=True):
        text = text.replace(address, urlsplit(endpoint).netloc)
    assert urlsplit(endpoints[-1]).netloc in text, f"{name} names no {documented}"
    assert "192.0.2." not in text
    return text


def _with_port(found: re.Match[str], port: int) -> str:
    return found[1].replace(found[2], str(port))


def _by_socket(text: str, path: str) -> str:
    """Do what the comments say for ``--uds``."""
    text = text.replace("    server 127.0.0.1:8000;\n", "").replace("# server unix:", "server unix:")
    text = text.replace("reverse_proxy 127.0.0.1:8000", f"reverse_proxy unix/{SOCKET}")
    assert re.search(rf"(?m)^\s*(server unix:|reverse_proxy unix/){SOCKET}", text)
    return text.replace(SOCKET, path)


@asynccontextmanager
async def nginx(folder: Path, name: str, *endpoints: str) -> AsyncIterator[str]:
    """Run nginx; gives its URL without a path. Fails if it logs an error."""
    port = free_port()
    (folder / "site.conf").write_text(_site(name, r"listen (80|3005);", port, endpoints))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    log = folder / "error.log"
    command: list[str | Path] = ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", log]
    async with running(command) as program:
        await _listens(port, program)
        yield f"http://127.0.0.1:{port}"
        faults = re.findall(r"^.*\[(?:warn|error|crit|alert|emerg)\].*$", log.read_text(), re.MULTILINE)
        assert not faults, faults


@asynccontextmanager
async def caddy(folder: Path, name: str, *endpoints: str) -> AsyncIterator[str]:
    """Run Caddy; gives its URL without a path. Fails if it logs an error."""
    port = free_port()
    (folder / "site").write_text(_site(name, r":(80) \{", port, endpoints))
    (folder / "Caddyfile").write_text(CADDY.format(folder=folder))
    command: list[str | Path] = ["caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    async with running(command, env={"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}) as program:
        await _listens(port, program)
        yield f"http://127.0.0.1:{port}"
        assert '"level":"error"' not in program.output, program.output


Proxy = Callable[..., AbstractAsyncContextManager[str]]

PROXIES: dict[str, Proxy] = {"nginx": nginx, "caddy": caddy}


async def _listens(port: int, program: Program, within: float = 15.0) -> None:
    """Wait until a port takes connections: neither program says so at the level at which it logs."""
    await eventually(lambda: listens(port), what=lambda: f"listening:\n{program.output}", within=within)
