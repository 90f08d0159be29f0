"""Emits to the clients of a service from a process that serves nobody, such as a scheduler or a Celery task.

    awaited     the emitter for async code, which is a node
    threads     such an emitter in a thread of its own, begun by the first call of a process
    blocking    the emitter for other code

There is one rule for this folder: only `threads` knows of threads and forks.
"""

from __future__ import annotations

from walkie_signal.emitter.awaited import AsyncEmitter
from walkie_signal.emitter.blocking import Emitter

__all__ = ["AsyncEmitter", "Emitter"]
