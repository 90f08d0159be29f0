"""OpenTelemetry's instrumentation of a host that has signaling: where it goes, and that peers meet under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support.servers import hosted
from support.stock import meet, web
from walkie_signal import SignalingMiddleware, attach


def api() -> FastAPI:
    app = FastAPI()

    @app.get("/health")
    async def health() -> str:
        return "well"

    return app


def the_app_before_attach(tracing: Any) -> Any:
    app = api()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracing)
    return attach(app)


def around_what_attach_returns(tracing: Any) -> Any:
    return OpenTelemetryMiddleware(attach(api()), tracer_provider=tracing)


def an_app_with_the_middleware(tracing: Any) -> Any:
    app = api()
    app.add_middleware(SignalingMiddleware)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracing)
    return app


def the_same_without_the_endpoint(tracing: Any) -> Any:
    app = api()
    app.add_middleware(SignalingMiddleware)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracing, excluded_urls="/socket.io")
    return app


WAYS = {
    the_app_before_attach: False,
    around_what_attach_returns: True,
    an_app_with_the_middleware: True,
    the_same_without_the_endpoint: False,
}
"""Each with whether signaling has spans of its own."""


@pytest.mark.promise("Hosts", "OpenTelemetry works around the app, and around what `attach` returns")
@pytest.mark.usefixtures("_each_websocket_class")
@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize(("way", "traced"), WAYS.items(), ids=lambda each: getattr(each, "__name__", None))
async def test_peers_meet_and_routes_are_traced(
    way: Callable[[Any], Any], transport: str, *, traced: bool
) -> None:
    spans = InMemorySpanExporter()
    tracing = TracerProvider(shutdown_on_exit=False)
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    async with hosted(way(tracing)) as url, web(url) as http:
        assert (await http.get("/health")).json() == "well"
        await meet(url, transport=transport)
    names = [span.name for span in spans.get_finished_spans()]
    assert any("GET /health" in name or name == "GET" for name in names), names
    paths = [str(dict(span.attributes or {})) for span in spans.get_finished_spans()]
    assert any("/socket.io" in path for path in paths) == traced, names


@pytest.mark.promise("Hosts", "OpenTelemetry works around the app, and around what `attach` returns")
def test_what_attach_returns_is_no_fastapi_app() -> None:
    """As the page says: the instrumentor wants the app itself."""
    attached: Any = attach(api())
    with pytest.raises(AttributeError):
        FastAPIInstrumentor.instrument_app(attached)
