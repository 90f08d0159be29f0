"""What a peer might send, good or bad: made by the grammar, made from that by mutation, or drawn at random.

The same seed makes the same inputs, on each machine and each Python.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence

from support.raw import SEPARATOR, Frame

PEER = "PEER"
"""Stands for the id of a peer that there is."""

NUMBERS = (
    "0", "1", "-1", "7", "1.5", "-0", "-0.0", "1e5", "1E+2", "1e-400", "1e308", "0.1", "9007199254740993",
    "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
    "2.2250738585072014e-308", "1" * 21, "0." + "3" * 400,
)  # fmt: skip
NO_NUMBERS = (
    "1e309", "-1e999", "01", "1.", ".5", "+1", "0x1", "-", "1e", "1.7976931348623159e308", "9" * 400, "1" * 5000,
)  # fmt: skip
WORDS = ("true", "false", "null")
NO_WORDS = ("NaN", "Infinity", "-Infinity", "True", "nul", "undefined", "")
STRINGS = (
    "", "a", "gate", "é", "😀", "/", "\\/", "\\n", '\\"', "\\\\", "\\u0041", "\\u00e9", "\\u0000",
    "\\ud83d\\ude00", "\x7f", "\u2028", "[{", "}]", ":,", "__proto__", "x" * 64, "x" * 65, "é" * 128, "x" * 129,
)  # fmt: skip
NO_STRINGS = ("\\ud800", "\\udfff\\ud800", "\\u12", "\\x", "\\", "\t", "\0")
NAMES = ("signal", "signal", "signal", "join_room", "join_room", "leave_room", "echo", "echo")
ODD_NAMES = (
    "connect", "disconnect", "connect_error", "newListener", "", "nobody's", "\\u0073ignal", "\\ud800", "*",
    "__init__",
)  # fmt: skip
KEYS = (
    "targetId", "signal", "room", "role", "userId", "fromId", "_placeholder", "num", "", "\\u0072oom", "é",
)  # fmt: skip
NAMESPACES = ("", "", "", "", "", "/,", "/other,")
ODD_NAMESPACES = ("/other", "/other?a=1,", "/radio,", "/é,", "/,/other,", "/\0,", ",")
ACK_IDS = ("", "", "", "0", "1", "7", "12", "007", "9007199254740991")
ODD_ACK_IDS = ("1" * 16, "1" * 17, "-1", "٣", "1.5", " 1", " ")
ATTACHMENTS = ("0-", "1-", "2-", "9-", "1024-", "99999-", "-", "1", "1--", "-1-", "")
TELLING = '0123456b-/,[]{}":\\ud8x.eE+NaNtrue\x1e \n\0é😀\u2028'
"""Characters that mean something somewhere on the way."""

VALID: tuple[Frame, ...] = (
    "40", '40{"token":"x"}', "40/other,", "41", "41/other,", "3", "1", '430[{"ok":true}]', '43/other,12["x",1]',
    '42["join_room",{"room":"pit","role":"guard","userId":7}]', '421["join_room",{"room":"pit"}]',
    '422["leave_room",{}]', '42["leave_room"]', '42["leave_room",{"room":"pit"}]',
    f'42["signal",{{"targetId":"{PEER}","signal":{{"type":"offer","sdp":"v=0\\r\\no=- 1 2 IN IP4 127.0.0.1"}}}}]',
    f'4217["signal",{{"targetId":"{PEER}","signal":{{"candidate":"candidate:1 1 udp 1 ::1 9"}}}}]',
    f'42["signal",{{"targetId":"{PEER}","signal":null}}]', '42["echo","é😀",1.5,[true,null],{"a":{}}]',
    '42/other,3["echo",{}]', '451-["echo",{"_placeholder":true,"num":0}]', b"\x00\xff",
)  # fmt: skip


class Generator:
    """An endless supply of inputs.

    Args:
        seed: What all that it makes follows from.
        limit: How long an event may be for the server; some are made about so long.

    Attributes:
        random: Where the chance comes from.
        oddity: How probable it is, at each place, that the grammar is broken there.
    """

    def __init__(self, seed: str, limit: int = 1024) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing here is secret
        self.oddity = 0.0
        self._limit = limit
        self._chance: Callable[[], float] = self.random.random

    def grow_odd(self) -> None:
        """Decide how odd the next input is to be: one that is odd everywhere doesn't get far."""
        self.oddity = (0.01, 0.05, 0.4)[self.below(3)]

    def pick(self, among: Sequence[str], odd: Sequence[str] = ()) -> str:
        if odd and self._chance() < self.oddity:
            among = odd
        return among[int(self._chance() * len(among))]

    def below(self, end: int) -> int:
        return int(self._chance() * end)

    # JSON, and what looks like it

    def value(self, depth: int = 0) -> str:
        roll = self._chance()
        if roll < 0.64:
            return self.scalar(roll)
        if roll < 0.68:
            return self.deep()
        if depth > 3:
            return "{}" if roll < 0.8 else "[]"
        parts = [self.value(depth + 1) for _ in range(self.below(4))]
        if roll < 0.82:
            return f"[{self.comma().join(parts)}]"
        return "{" + self.comma().join(f'"{self.pick(KEYS, NO_STRINGS)}":{part}' for part in parts) + "}"

    def scalar(self, roll: float) -> str:
        if roll < 0.36:
            return f'"{self.string()}"'
        if roll < 0.45:
            return str(self.below(1000))
        return self.pick(NUMBERS, NO_NUMBERS) if roll < 0.55 else self.pick(WORDS, NO_WORDS)

    def string(self) -> str:
        roll = self._chance()
        if roll < 0.3:
            return PEER
        if roll < 0.98:
            return self.pick(STRINGS, NO_STRINGS)
        if roll < 0.993:
            return "".join(self.pick(TELLING) for _ in range(self.below(8)))
        return self.pick(("x", "é", "\\n")) * (self._limit + 32 - self.below(256))

    def deep(self) -> str:
        """Nest about as deep as an event may be, or as a parser can go, or look like an attachment."""
        roll = self._chance()
        if roll < 0.4:
            number = self.pick(("0", "0", "1"), ("9", "-1", "0.0", "true", "null"))
            return f'{{"_placeholder":true,"num":{number}}}'
        levels = (
            self.below(12) if roll < 0.7 else 58 + self.below(12) if roll < 0.97 else 900 + self.below(300)
        )
        opened, closed = ("[", "]") if self._chance() < 0.5 else ('{"a":', "}")
        return opened * levels + "1" + closed * (levels if self._chance() > self.oddity else levels + 1)

    def comma(self) -> str:
        return self.pick((",",), (", ", ",,", "", ";", ",\n"))

    # Packets

    def payload(self, name: str) -> str:
        """Write what an event of ours might carry, the keys seldom in another order or twice."""
        roll = self._chance()
        if name == "signal" and roll < 0.85:
            target = PEER if roll < 0.7 else self.string()
            rest = f',"{self.pick(KEYS)}":{self.value()}' if self._chance() < 0.1 else ""
            return f'{{"targetId":"{target}","signal":{self.value()}{rest}}}'
        if name in ("join_room", "leave_room") and roll < 0.85:
            given = [f'"{key}":{self.value(3)}' for key in ("role", "userId") if self._chance() < 0.4]
            return "{" + self.comma().join([f'"room":"{self.string()}"', *given]) + "}"
        return self.value()

    def event(self) -> str:
        name = self.pick(NAMES, ODD_NAMES)
        if self._chance() < self.oddity / 4:
            return self.value()
        arguments = (
            [self.payload(name)] if self._chance() < 0.85 else [self.value() for _ in range(self.below(4))]
        )
        return "[" + self.comma().join([f'"{name}"', *arguments]) + "]"

    def address(self) -> str:
        return self.pick(NAMESPACES, ODD_NAMESPACES) + self.pick(ACK_IDS, ODD_ACK_IDS)

    def packet(self) -> list[Frame]:
        """Write one Socket.IO packet, with its attachments, or with too many or too few."""
        roll = self._chance()
        if roll < 0.7:
            return [f"42{self.address()}{self.event()}"]
        if roll < 0.85:
            return self.binary()
        if roll < 0.92:
            return [f"43{self.address()}[{self.value()}]"]
        if self._chance() > self.oddity:
            return [VALID[self.below(len(VALID))]]
        if roll < 0.97:
            return [f"4{self.below(8)}{self.address()}{'' if roll < 0.94 else self.value()}"]
        return [self.pick("0123456789b") + self.pick(("", "probe", "x", "{}"))]

    def binary(self) -> list[Frame]:
        count = 1 + self.below(3) if self._chance() > self.oddity else 0
        places = [f'{{"_placeholder":true,"num":{number}}}' for number in range(count)]
        if self._chance() < self.oddity / 2:
            places = places[:-1] or ['{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":0}']
        announced = self.pick((f"{count}-",), ATTACHMENTS)
        data = ",".join([f'"{self.pick(NAMES, ODD_NAMES)}"', *places])
        extra = 0 if self._chance() > self.oddity else self.below(3) - 1
        sent: list[Frame] = [self.noise(16) for _ in range(count + extra)]
        return [f"4{self.pick('5556')}{announced}{self.address()}[{data}]", *sent]

    # Inputs

    def noise(self, most: int) -> bytes:
        return self.random.getrandbits(8 * most).to_bytes(most, "big")[: self.below(most + 1)]

    def text(self) -> str:
        """Write text that nobody would send, of telling characters."""
        return "".join(self.pick(TELLING) for _ in range(self.below(24)))

    def frames(self) -> list[Frame]:
        """Make what one connection sends, one frame or several."""
        self.grow_odd()
        made: list[Frame] = []
        for _ in range(1 + self.below(3)):
            if self._chance() > self.oddity:
                made += self.packet()
                continue
            roll = self._chance()
            if roll < 0.6:
                made.append(self.bent(self.packet()[0]))
            else:
                made.append(self.noise(24) if roll < 0.8 else self.text())
        return made

    def bent(self, frame: Frame) -> Frame:
        """Change a frame here and there; text stays text."""
        if isinstance(frame, bytes):
            return self.mutated(frame)
        return self.mutated(frame.encode()).decode("utf-8", "replace")

    def mutated(self, data: bytes) -> bytes:
        """Change bytes here and there: flip, drop, repeat, insert, cut off, or put one piece in another's place."""
        for _ in range(1 + self.below(3)):
            at = self.below(len(data) + 1)
            end = min(len(data), at + 1 + self.below(8))
            roll = self.below(6)
            if roll == 0 and at < len(data):
                data = data[:at] + bytes([data[at] ^ (1 << self.below(8))]) + data[at + 1 :]
            elif roll == 1:
                data = data[:at] + data[end:]
            elif roll == 2:
                data = data[:end] + data[at:]
            elif roll == 3:
                data = data[:at] + self.pick(TELLING).encode() + data[at:]
            elif roll == 4:
                data = data[:at]
            else:
                to = self.below(len(data) + 1)
                data = data[:to] + data[at:end] + data[to:]
        return data

    def body(self) -> bytes:
        """Make the body of a POST."""
        roll = self._chance()
        if roll < 0.08:
            return self.noise(64)
        body = body_of(self.frames())
        return self.mutated(body) if roll < 0.3 else body


def body_of(frames: Sequence[Frame]) -> bytes:
    """Join frames as a client does that polls."""
    parts = ["b" + base64.b64encode(each).decode() if isinstance(each, bytes) else each for each in frames]
    return SEPARATOR.join(parts).encode()
