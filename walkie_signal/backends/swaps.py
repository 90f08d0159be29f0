"""How a node changes the values beside rooms, on whichever store: by rules, and by one swap of a value at a time.

What comes while a swap is under way is worked into the next one. So what many peers of a node do at once costs a
few swaps, and the swaps of a node only race against those of other nodes. A swap that has lost its race begins
again with what the value is by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import NamedTuple

from walkie_signal.backends.base import Backend
from walkie_signal.errors import SignalingError

Rule = Callable[[str], str]
"""Returns the next text of a value, which is empty while it is absent; it may be called again if a swap is lost.

If it raises, that is the answer to this change, and the value stays as it is for the changes behind it.
"""

MOST_RACES = 8
"""Swaps that may be lost one after another: with that many nodes at once, each has had its turn by then."""


class Wanted(NamedTuple):
    """A change that somebody waits for; the other attributes are those of `Swaps.change`."""

    rule: Rule
    member: str | None
    keep: float
    done: asyncio.Future[str]


class Swaps:
    """The changes of one node to values beside rooms."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: dict[tuple[str, str], list[Wanted]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def change(
        self, room: str, key: str, rule: Rule, *, member: str | None = None, keep: float = 0
    ) -> asyncio.Future[str]:
        """Change a value by a rule; returns a future for its new text. For the arguments, see `Backend.swap`.

        Raises (in the future):
            SignalingError: ``not_in_room`` if the peer is no member, or if nobody is; ``unavailable`` if the store
                is away, or if other nodes were quicker `MOST_RACES` times.
            Exception: What the rule has raised.
        """
        wanted = Wanted(rule, member, keep, asyncio.get_running_loop().create_future())
        waiting = self._waiting.get((room, key))
        if waiting is None:
            waiting = self._waiting[room, key] = []
            task = asyncio.create_task(self._work(room, key, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(wanted)
        return wanted.done

    async def _work(self, room: str, key: str, waiting: list[Wanted]) -> None:
        """Carry out what waits, as much at a time as one swap can do."""
        try:
            while waiting:
                _, member, keep, _ = waiting[0]
                some = list(takewhile(lambda each: (each.member, each.keep) == (member, keep), waiting))  # noqa: B023
                del waiting[: len(some)]
                await self._carry_out(room, key, some)
        finally:
            del self._waiting[room, key]

    async def _carry_out(self, room: str, key: str, some: Sequence[Wanted]) -> None:
        try:
            answers = await self._swap(room, key, some)
        except (SignalingError, ValueError) as error:
            answers = [error] * len(some)
        for wanted, answer in zip(some, answers, strict=True):
            if wanted.done.done():  # nobody waits for it any more
                continue
            if isinstance(answer, Exception):
                wanted.done.set_exception(answer)
            else:
                wanted.done.set_result(answer)

    async def _swap(self, room: str, key: str, some: Sequence[Wanted]) -> list[str | Exception]:
        """Swap until no other node was quicker; returns what each rule has made, or what it has raised."""
        for _ in range(MOST_RACES):
            value = await self._backend.read(room, key)
            answers = _follow(value.text, some)
            texts = [answer for answer in answers if isinstance(answer, str)]
            if not texts:
                return answers
            member, keep = some[0].member, some[0].keep
            outcome = await self._backend.swap(room, key, value.version, texts[-1], member=member, keep=keep)
            if outcome == "swapped":
                return answers
            if outcome == "gone":
                raise SignalingError("not_in_room", "only while there are members can this be changed")
        raise SignalingError("unavailable", "too many change this at once", retryAfterMs=1000)


def _follow(text: str, some: Sequence[Wanted]) -> list[str | Exception]:
    """Follow each rule, from what the one before has made."""
    answers: list[str | Exception] = []
    for wanted in some:
        answer = _answer(wanted.rule, text)
        text = answer if isinstance(answer, str) else text
        answers.append(answer)
    return answers


def _answer(rule: Rule, text: str) -> str | Exception:
    try:
        return rule(text)
    except Exception as error:  # noqa: BLE001 - whatever it is, the change is answered with it
        return error
