"""An app whose signaling is made at import: under ``gunicorn --preload`` before the workers are forked."""

from __future__ import annotations

import os

from fastapi import FastAPI

from walkie_signal import attach

app = attach(FastAPI(), backend=os.environ.get("REDIS_URL"))
