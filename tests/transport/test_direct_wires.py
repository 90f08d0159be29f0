"""The protocol class on TLS and on a Unix socket, and where picows is not installed."""

from __future__ import annotations

import ssl
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.frames import TEXT, close, frame
from support.wire import websocket
from transport.direct_servers import OURS, served

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(private, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    cert.write_bytes(signed.public_bytes(pem))
    return key, cert


@LOOPS
async def test_tls(loop: str, certificate: tuple[Path, Path]) -> None:
    """Small and large, in turn: a large one makes a new parser under the TLS layer's feet."""
    key, cert = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    options = ("--ssl-keyfile", str(key), "--ssl-certfile", str(cert))
    with served(OURS, loop, *options) as server:
        for path in ("/echo", "/direct"):
            url = f"wss://127.0.0.1:{server.address[1]}{path}?id=t"
            async with websockets.connect(url, ssl=trusting, max_size=None) as client:
                for _ in range(3):
                    sent = ["a", "b" * 200_000, "c" * 9_000, "d" * 2_000_000, "e"]
                    for text in sent:
                        await client.send(text)
                    assert all([await client.recv() == text for text in sent])
                await (await client.ping())
            assert client.close_code == 1000
            client.transport.abort()  # Python 3.10's TLS transport doesn't see that it is closed
        async with websockets.connect(
            f"wss://127.0.0.1:{server.address[1]}/scope?id=t", ssl=trusting
        ) as client:
            assert '"scheme":"wss"' in str(await client.recv())
        client.transport.abort()
    assert "Traceback" not in "".join(server.output)


@LOOPS
async def test_a_unix_socket(loop: str, tmp_path: Path) -> None:
    """picows by itself refuses one: it sets TCP options."""
    path = str(tmp_path / "socket")
    with served(OURS, loop, "--uds", path) as server:
        for url in ("/echo?id=u", "/direct?id=u"):
            async with websocket(path, url) as client:
                for text in ("a", "b" * 300_000, "c"):
                    await client.send(frame(TEXT, text))
                    assert await client.hear() == ("text", text)
                await client.send(close(1000))
                assert (await client.hear())[:2] == ("close", 1000)
    assert "Traceback" not in "".join(server.output)


BLOCKED = """
import sys
sys.modules["picows"] = None
import walkie_signal, walkie_signal.transport, walkie_signal.asgi, walkie_signal.cli
try:
    import walkie_signal.direct.protocol
except ImportError as error:
    print(error)
"""

OLD = """
import uvicorn
uvicorn.__version__ = "0.51.0"
try:
    import walkie_signal.direct.protocol
except ImportError as error:
    print(error)
"""

OTHER = """
import picows
picows.__version__ = "3.0.0"
try:
    import walkie_signal.direct.protocol
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(("program", "text"), [
    (BLOCKED, "needs picows; install it with: pip install 'walkie-signal[fast]'"),
    (OTHER, "works with picows 2.3, not with 3.0.0"),
        (OLD, "works with uvicorn 0.52 and later, not with 0.51.0"),
])  # fmt: skip
def test_without_the_libraries_that_it_knows_it_says_what_to_install(program: str, text: str) -> None:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert text in run.stdout, run
    assert not run.stderr
