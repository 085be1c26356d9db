"""The ASGI application: which route answers what, behind which key, and how faults are told."""

import hmac
import logging
from collections.abc import Awaitable, Callable

from inference.engine import adapter_routes, messages, native, service
from inference.engine.exchange import ClientGone, Exchange, Receive, Scope, Send
from inference.engine.faults import EngineFault, MethodNotAllowed, NotFound, Unauthorized, Unhealthy
from inference.engine.pod import Pod

log = logging.getLogger(__name__)

Handler = Callable[[Exchange, Pod], Awaitable[None]]

OPEN: dict[tuple[str, str], Handler] = {
    ("GET", "/health"): service.health,
    ("GET", "/info"): service.facts,
    ("GET", "/metrics"): service.metrics,
}
GENERATING: dict[tuple[str, str], Handler] = {
    ("POST", "/"): native.root,
    ("POST", "/generate"): native.generate,
    ("POST", "/generate_stream"): native.generate_stream,
    ("POST", "/v1/chat/completions"): messages.chat_completions,
}
KEYED: dict[tuple[str, str], Handler] = GENERATING | {
    ("POST", "/tokenize"): native.tokenize,
    ("POST", "/chat_tokenize"): messages.chat_tokenize,
    ("GET", "/adapters"): adapter_routes.listing,
    ("PUT", adapter_routes.PREFIX): adapter_routes.put,
    ("DELETE", adapter_routes.PREFIX): adapter_routes.delete,
}


class App:
    """One pod as an ASGI application."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._authorization = f"Bearer {pod.settings.key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(Exchange(scope, receive, send))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._pod.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pod.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, exchange: Exchange) -> None:
        try:
            handler = self._route(exchange)
            await handler(exchange, self._pod)
        except ClientGone:
            self._pod.metrics.failures["dropped"] += 1
        except EngineFault as fault:
            self._pod.metrics.failures[fault.error_type] += 1
            await exchange.fail(fault)
        except Exception:
            log.exception("unexpected fault")
            if not exchange.answering:
                await exchange.fail(EngineFault("The pod failed; its log says why."))

    def _route(self, exchange: Exchange) -> Handler:
        route = (exchange.method, exchange.path)
        if route in OPEN:
            return OPEN[route]
        self._check_key(exchange)
        if self._pod.draining:
            raise Unhealthy("The pod is shutting down.")
        if route in GENERATING:
            self._pod.metrics.requests += 1
        if exchange.path.startswith(adapter_routes.PREFIX):
            route = (exchange.method, adapter_routes.PREFIX)
        if route in KEYED:
            return KEYED[route]
        if any(path == route[1] for _, path in OPEN | KEYED):
            raise MethodNotAllowed(f"{exchange.path} does not answer {exchange.method}.")
        raise NotFound(f"There is no route {exchange.path}.")

    def _check_key(self, exchange: Exchange) -> None:
        given = exchange.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, self._authorization):
            raise Unauthorized("The pod's key is missing or wrong.")
