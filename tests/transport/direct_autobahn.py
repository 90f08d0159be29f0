"""The cases of the Autobahn test suite for a server, sections 1 to 7 and 10, written anew from RFC 6455.

The numbers are the suite's. Its other sections do not apply: 9 measures limits and speed with messages of up
to 16 MiB (what it would find is in test_direct_limits.py), 12 and 13 are about permessage-deflate, which the
protocol class doesn't offer; 0, 8 and 11 are empty there.

What the suite calls *strict* is written down; the outcomes that it lets pass besides are in `Case.lenient`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from support.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, fragments, frame, header, mask

Heard = tuple[tuple[object, ...], ...]

NORMAL, PROTOCOL_ERROR, INVALID_DATA = 1000, 1002, 1007
HELLO = "Hello, world!"


@dataclass(frozen=True)
class Case:
    """What is sent, and what has to come of it.

    Attributes:
        stages: What is sent; a stage waits for the frames that the one before brings.
        heard: What comes for each stage, before any CLOSE.
        code: What the server closes with (`None`: an empty CLOSE); 0 where it is the peer that closes, with 1000.
        chop: The bytes of each write; all in one where it is not given.
        lenient: Whether the frames before a violation may as well not be answered any more.
    """

    stages: tuple[bytes, ...]
    heard: tuple[Heard, ...] = ((),)
    code: int | None = 0
    chop: int | None = None
    lenient: bool = False


def echoed(opcode: int, payload: str | bytes, chop: int | None = None) -> Case:
    name = "text" if opcode == TEXT else "binary"
    return Case((frame(opcode, payload),), (((name, payload),),), chop=chop)


def texts(*parts: str | bytes, chop: int | None = None) -> Case:
    whole = "".join(part if isinstance(part, str) else part.decode() for part in parts)
    return Case((fragments(TEXT, *parts),), ((("text", whole),),), chop=chop)


def fails(code: int, *sent: bytes, chop: int | None = None, before: str | None = None) -> Case:
    """Return a case in which a server answers the text `before`, if any, and then closes."""
    heard: Heard = () if before is None else (("text", before),)
    return Case((b"".join(sent),), (heard,), code, chop, lenient=before is not None)


def pongs(*payloads: bytes | str, chop: int | None = None) -> Case:
    data = [payload.encode() if isinstance(payload, str) else payload for payload in payloads]
    return Case(
        (b"".join(frame(PING, each) for each in data),), (tuple(("pong", each) for each in data),), chop=chop
    )


def bytewise(data: bytes) -> bytes:
    """Return a text in fragments of one byte."""
    return fragments(TEXT, *(data[at : at + 1] for at in range(len(data))))


GREEK = "\u03ba\u1f79\u03c3\u03bc\u03b5"
LATIN = "Hello-\xb5@\xdf\xf6\xe4\xfc\xe0\xe1-UTF-8!!"
SPOILT = GREEK.encode() + b"\xed\xa0\x80" + b"edited"
BEYOND = GREEK.encode() + b"\xf4\x90\x80\x80" + b"edited"
"""U+110000 in it, invalid from its thirteenth byte on."""

_hello = frame(TEXT, HELLO)
_ping = frame(PING)
_stray, _stray_open = (
    frame(CONT, "non-continuation payload"),
    frame(CONT, "non-continuation payload", fin=False),
)
_five = ["fragment1", "fragment2", "fragment3", "fragment4", "fragment5"]

CASES: dict[str, Case] = {
    # 1 Framing
    "1.1.1": echoed(TEXT, ""),
    "1.1.2": echoed(TEXT, "*" * 125),
    "1.1.3": echoed(TEXT, "*" * 126),
    "1.1.4": echoed(TEXT, "*" * 127),
    "1.1.5": echoed(TEXT, "*" * 128),
    "1.1.6": echoed(TEXT, "*" * 65_535),
    "1.1.7": echoed(TEXT, "*" * 65_536),
    "1.1.8": echoed(TEXT, "*" * 65_536, chop=997),
    "1.2.1": echoed(BINARY, b""),
    "1.2.2": echoed(BINARY, b"\xfe" * 125),
    "1.2.3": echoed(BINARY, b"\xfe" * 126),
    "1.2.4": echoed(BINARY, b"\xfe" * 127),
    "1.2.5": echoed(BINARY, b"\xfe" * 128),
    "1.2.6": echoed(BINARY, b"\xfe" * 65_535),
    "1.2.7": echoed(BINARY, b"\xfe" * 65_536),
    "1.2.8": echoed(BINARY, b"\xfe" * 65_536, chop=997),
    # 2 Pings and pongs
    "2.1": pongs(""),
    "2.2": pongs(HELLO),
    "2.3": pongs(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
    "2.4": pongs(b"\xfe" * 125),
    "2.5": fails(PROTOCOL_ERROR, frame(PING, b"\xfe" * 126)),
    "2.6": pongs(b"\xfe" * 125, chop=1),
    "2.7": Case((frame(PONG) + close(NORMAL),), ((),), NORMAL),
    "2.8": Case((frame(PONG, "unsolicited pong payload") + close(NORMAL),), ((),), NORMAL),
    "2.9": Case((frame(PONG, "unsolicited") + frame(PING, "ping"),), ((("pong", b"ping"),),)),
    "2.10": pongs(*(f"payload-{number}" for number in range(10))),
    "2.11": pongs(*(f"payload-{number}" for number in range(10)), chop=1),
    # 3 Reserved bits
    "3.1": fails(PROTOCOL_ERROR, frame(TEXT, HELLO, rsv=1)),
    "3.2": fails(PROTOCOL_ERROR, _hello, frame(TEXT, HELLO, rsv=2), _ping, before=HELLO),
    "3.3": fails(PROTOCOL_ERROR, _hello, frame(TEXT, HELLO, rsv=3), _ping, before=HELLO, chop=len(_hello)),
    "3.4": fails(PROTOCOL_ERROR, _hello, frame(TEXT, HELLO, rsv=4), _ping, before=HELLO, chop=1),
    "3.5": fails(PROTOCOL_ERROR, frame(BINARY, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", rsv=5)),
    "3.6": fails(PROTOCOL_ERROR, frame(PING, HELLO, rsv=6)),
    "3.7": fails(PROTOCOL_ERROR, frame(CLOSE, rsv=7)),
    # 4 Opcodes
    "4.1.1": fails(PROTOCOL_ERROR, frame(3)),
    "4.1.2": fails(PROTOCOL_ERROR, frame(4, "reserved opcode payload")),
    "4.1.3": fails(PROTOCOL_ERROR, _hello, frame(5), _ping, before=HELLO),
    "4.1.4": fails(PROTOCOL_ERROR, _hello, frame(6, HELLO), _ping, before=HELLO),
    "4.1.5": fails(PROTOCOL_ERROR, _hello, frame(7, HELLO), _ping, before=HELLO, chop=1),
    "4.2.1": fails(PROTOCOL_ERROR, frame(11)),
    "4.2.2": fails(PROTOCOL_ERROR, frame(12, "reserved opcode payload")),
    "4.2.3": fails(PROTOCOL_ERROR, _hello, frame(13), _ping, before=HELLO),
    "4.2.4": fails(PROTOCOL_ERROR, _hello, frame(14, HELLO), _ping, before=HELLO),
    "4.2.5": fails(PROTOCOL_ERROR, _hello, frame(15, HELLO), _ping, before=HELLO, chop=1),
    # 5 Fragmentation
    "5.1": fails(PROTOCOL_ERROR, frame(PING, "fragment1", fin=False), frame(CONT, "fragment2")),
    "5.2": fails(PROTOCOL_ERROR, frame(PONG, "fragment1", fin=False), frame(CONT, "fragment2")),
    "5.3": texts("fragment1", "fragment2"),
    "5.4": texts("fragment1", "fragment2", chop=15),
    "5.5": texts("fragment1", "fragment2", chop=1),
    **{
        number: Case(
            (frame(TEXT, "fragment1", fin=False) + frame(PING, "ping") + frame(CONT, "fragment2"),),
            ((("pong", b"ping"), ("text", "fragment1fragment2")),),
            chop=chop,
        )
        for number, chop in (("5.6", None), ("5.7", 15), ("5.8", 1))
    },
    "5.9": fails(PROTOCOL_ERROR, _stray, _hello),
    "5.10": fails(PROTOCOL_ERROR, _stray, _hello, chop=len(_stray)),
    "5.11": fails(PROTOCOL_ERROR, _stray, _hello, chop=1),
    "5.12": fails(PROTOCOL_ERROR, _stray_open, _hello),
    "5.13": fails(PROTOCOL_ERROR, _stray_open, _hello, chop=len(_stray)),
    "5.14": fails(PROTOCOL_ERROR, _stray_open, _hello, chop=1),
    "5.15": fails(
        PROTOCOL_ERROR, fragments(TEXT, "a", "b"), frame(CONT, "c", fin=False), frame(TEXT, "d"), before="ab"
    ),
    "5.16": fails(PROTOCOL_ERROR, *[frame(CONT, "a", fin=False), fragments(TEXT, "b", "c")] * 2),
    "5.17": fails(PROTOCOL_ERROR, *[frame(CONT, "a"), fragments(TEXT, "b", "c")] * 2),
    "5.18": fails(PROTOCOL_ERROR, frame(TEXT, "fragment1", fin=False), frame(TEXT, "fragment2")),
    **{
        number: Case(
            (
                frame(TEXT, _five[0], fin=False) + frame(CONT, _five[1], fin=False) + frame(PING, "pongme 1!"),
                frame(CONT, _five[2], fin=False) + frame(CONT, _five[3], fin=False) + frame(PING, "pongme 2!")
                + frame(CONT, _five[4]),
            ),
            ((("pong", b"pongme 1!"),), (("pong", b"pongme 2!"), ("text", "".join(_five)))),
            chop=chop,
        )
        for number, chop in (("5.19", None), ("5.20", 15))
    },
    # 6 UTF-8; the sequences of 6.5 on are below
    "6.1.1": texts(""),
    "6.1.2": texts("", "", ""),
    "6.1.3": texts("", "middle frame payload", ""),
    "6.2.1": texts(LATIN),
    "6.2.2": texts(LATIN[:11], LATIN[11:]),
    "6.2.3": Case((bytewise(LATIN.encode()),), ((("text", LATIN),),)),
    "6.2.4": Case((bytewise(GREEK.encode()),), ((("text", GREEK),),)),
    "6.3.1": fails(INVALID_DATA, frame(TEXT, SPOILT)),
    "6.3.2": fails(INVALID_DATA, bytewise(SPOILT)),
    # Strict: the server closes upon the fragment that spoils it (the rest is never sent)
    "6.4.1": fails(INVALID_DATA, frame(TEXT, BEYOND[:11], fin=False), frame(CONT, BEYOND[11:15], fin=False)),
    "6.4.2": fails(INVALID_DATA, frame(TEXT, BEYOND[:12], fin=False), frame(CONT, BEYOND[12:13], fin=False)),
    # Not strict: picows knows of a frame when it is whole, so what spoils it is found with its last byte
    "6.4.3": fails(INVALID_DATA, frame(TEXT, BEYOND), chop=17),
    "6.4.4": fails(INVALID_DATA, header(TEXT, 21), mask(BEYOND), chop=18),
    # 7 Close
    "7.1.1": Case((_hello,), ((("text", HELLO),),)),
    "7.1.2": Case((close(NORMAL) + close(),), ((),), NORMAL),
    "7.1.3": Case((close(NORMAL) + _ping,), ((),), NORMAL),
    "7.1.4": Case((close(NORMAL) + _hello,), ((),), NORMAL),
    "7.1.5": Case(
        (frame(TEXT, "fragment1", fin=False) + close(NORMAL) + frame(CONT, "fragment2"),), ((),), NORMAL
    ),
    "7.1.6": Case(
        (frame(TEXT, "BAsd7&jh23" * 26_215) + _hello + close(NORMAL) + _ping,),
        ((("text", "BAsd7&jh23" * 26_215), ("text", HELLO)),), NORMAL, lenient=True,
    ),
    "7.3.1": Case((close(),), ((),), None),
    "7.3.2": fails(PROTOCOL_ERROR, frame(CLOSE, "a")),
    "7.3.3": Case((close(NORMAL),), ((),), NORMAL),
    "7.3.4": Case((close(NORMAL, "Hello World!"),), ((),), NORMAL),
    "7.3.5": Case((close(NORMAL, "*" * 123),), ((),), NORMAL),
    "7.3.6": fails(PROTOCOL_ERROR, close(NORMAL, "*" * 124)),
    "7.5.1": fails(INVALID_DATA, close(NORMAL, SPOILT)),
    **{
        f"7.7.{number}": Case((close(code),), ((),), code)
        for number, code in enumerate(
            (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999), 1
        )
    },
    **{
        f"7.9.{number}": fails(PROTOCOL_ERROR, close(code))
        for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1)
    },
    "7.13.1": fails(PROTOCOL_ERROR, close(5000)),
    "7.13.2": fails(PROTOCOL_ERROR, close(65_535)),
    # 10 Miscellaneous
    "10.1.1": texts(*("*" * min(1300, 65_536 - at) for at in range(0, 65_536, 1300))),
}  # fmt: skip

SEQUENCES: dict[str, tuple[bool, str]] = {
    "6.5": (True, (
        "68656c6c6f24776f726c64 68656c6c6fc2a2776f726c64 68656c6c6fe282ac776f726c64 "
        "68656c6c6ff0a4ada2776f726c64 cebae1bdb9cf83cebcceb5")),
    "6.6 whole": (True, "ceba cebae1bdb9 cebae1bdb9cf83 cebae1bdb9cf83cebc cebae1bdb9cf83cebcceb5"),
    "6.6 cut": (False, "ce cebae1 cebae1bd cebae1bdb9cf cebae1bdb9cf83ce cebae1bdb9cf83cebcce"),
    "6.7": (True, "00 c280 e0a080 f0908080"),
    "6.8": (False, "f888808080 fc8480808080"),
    "6.9": (True, "7f dfbf efbfbf f48fbfbf"),
    "6.10": (False, "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf"),
    "6.11 valid": (True, "ed9fbf ee8080 efbfbd f48fbfbf"),
    "6.11 invalid": (False, "f4908080"),
    "6.12": (False, "80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf "
                    + bytes(range(0x80, 0xBF)).hex()),
    "6.13": (False, " ".join(
        b" ".join(bytes((lead,)) for lead in range(*leads)).hex() + "20"
        for leads in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD)))),
    "6.14": (False, "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"),
    "6.15": (False, "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"),
    "6.16": (False, "fe ff fefeffff"),
    "6.17": (False, "c0af e080af f08080af f8808080af fc80808080af"),
    "6.18": (False, "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf"),
    "6.19": (False, "c080 e08080 f0808080 f880808080 fc8080808080"),
    "6.20": (False, "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf"),
    "6.21": (False, (
        "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf "
        "edafbfedb080 edafbfedbfbf")),
    "6.22": (True, "efbfbe efbfbf " + " ".join(
        chr(plane << 16 | last).encode().hex() for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))),
    "6.23": (True, "efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf"),
}  # fmt: skip
"""Whether they are UTF-8, and what is sent: the sequences of Markus Kuhn's UTF-8 decoder stress test."""


def all_cases() -> Iterator[tuple[str, Case]]:
    """Yield each case with its number."""
    yield from CASES.items()
    for number, (valid, sequences) in SEQUENCES.items():
        for index, sequence in enumerate(sequences.split(), 1):
            data = bytes.fromhex(sequence)
            yield f"{number}.{index}", texts(data) if valid else fails(INVALID_DATA, frame(TEXT, data))
