"""Our client manager does what python-socketio's does, whatever a host asks of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import socketio

from walkie_signal.transport import create_server

NAMESPACES = ("/", "/other")
NAMES = ("a", "b", 7, ("t", 1))


class Managers:
    """A stock manager and ours, told the same; `sids` are the ids that each gave, in the same order."""

    def __init__(self) -> None:
        quiet: dict[str, Any] = {"cors_allowed_origins": "*"}
        servers = (socketio.AsyncServer(async_mode="asgi", **quiet), create_server(**quiet))
        self.both: list[Any] = [server.manager for server in servers]
        self.sids: list[tuple[str, list[str]]] = []
        for server in servers:
            self._number_ids(server)

    def _number_ids(self, server: Any) -> None:
        ids = iter(range(10**6))
        server.eio.generate_id = lambda: f"sid-{next(ids)}"

    async def tell(self, chance: random.Random) -> None:
        """Tell both the same; they answer the same, be it with an error."""
        namespace = chance.choice(NAMESPACES)
        sid = f"sid-{chance.randrange(12)}"
        room = chance.choice((*NAMES, sid, f"sid-{chance.randrange(12)}"))
        orders: list[tuple[Any, ...]] = [
            ("pre_connect", f"eio-{chance.randrange(12)}", namespace),
            ("connect", sid, namespace),
            ("enter_room", sid, namespace, room),
            ("enter_room", sid, namespace, room),
            ("enter_room", sid, namespace, room),
            ("leave_room", sid, namespace, room),
            ("close_room", room, namespace),
            ("pre_disconnect", sid, namespace),
            ("disconnect", sid, namespace),
        ]
        deed, *arguments = chance.choice(orders)
        pending = self.both[0].is_pre_connected(sid, namespace), self.both[0].is_connected(sid, namespace)
        if (deed == "connect" and not pending[0]) or (deed == "pre_disconnect" and not pending[1]):
            return  # no server does that
        stock, ours = [await _answer(manager, deed, arguments) for manager in self.both]
        assert ours == stock, (deed, arguments)

    def compare(self) -> None:
        stock, ours = [self._seen(manager) for manager in self.both]
        assert ours == stock

    def _seen(self, manager: Any) -> Any:
        sids = [f"sid-{number}" for number in range(12)]
        return {
            "rooms": {name: {r: dict(m) for r, m in rooms.items()} for name, rooms in manager.rooms.items()},
            "pending": [
                {name: sorted(set(sids)) for name, sids in pending.items()}
                for pending in (manager.pending_connect, manager.pending_disconnect)
            ],
            "of each": [
                (set(manager.get_rooms(sid, name)), manager.is_connected(sid, name))
                for name in NAMESPACES
                for sid in sids
            ],
            "in each": [
                dict(manager.get_participants(name, room)) for name in NAMESPACES for room in (None, *NAMES)
            ],
        }


async def _answer(manager: Any, deed: str, arguments: list[Any]) -> Any:
    try:
        answer = getattr(manager, deed)(*arguments)
        return await answer if hasattr(answer, "__await__") else answer
    except (ValueError, KeyError) as error:
        return type(error), str(error)


@pytest.mark.promise("The transport", "Socket.IO rooms answer a host as python-socketio's do")
@pytest.mark.parametrize("seed", range(20))
async def test_it_answers_as_python_socketio_does(seed: int) -> None:
    """Rooms, those who are in them, who is connected, and what is refused: after each of 300 orders."""
    managers, chance = Managers(), random.Random(seed)  # noqa: S311 - the same each time
    for _ in range(300):
        await managers.tell(chance)
        managers.compare()


@pytest.mark.promise("The transport", "Socket.IO rooms answer a host as python-socketio's do")
async def test_a_disconnect_leaves_nothing() -> None:
    manager = create_server().manager
    empty = {name: value for name, value in vars(manager).items() if isinstance(value, dict)}
    assert not any(empty.values()), empty
    sids = [await manager.pre_connect(f"eio-{number}", "/") for number in range(3)]
    for sid in sids:
        await manager.connect(sid, "/")
        for room in NAMES:
            await manager.enter_room(sid, "/", room)
    await manager.close_room("a", "/")
    await manager.leave_room(sids[0], "/", "b")
    for sid in sids:
        manager.pre_disconnect(sid, "/")
        await manager.disconnect(sid, "/")
    left = {name: value for name, value in vars(manager).items() if isinstance(value, dict)}
    assert not any(left.values()), left
