"""The gateway as an ASGI application, and as what in-process callers complete through."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from inference.backends.directory import BackendDirectory
from inference.backends.interface import Timeouts
from inference.gateway.admission.admitting import SCRIPTS, Admission
from inference.gateway.answering.completion import Completer
from inference.gateway.authentication import Authenticator
from inference.gateway.cache.answers import AnswerCache
from inference.gateway.cache.store import SCRIPTS as CACHE_SCRIPTS
from inference.gateway.contract import GatewayConfig, GenerationEvent, GenerationRequest, Principal
from inference.gateway.faults import GatewayFault, MethodNotAllowed, UnknownRoute
from inference.gateway.forwarding import embeddings, images, moderations
from inference.gateway.forwarding.errand import Errand
from inference.gateway.forwarding.surface import ForwardedSurface, Forwarder
from inference.gateway.http import ClientLeft, Exchange, Receive, Scope, Send
from inference.gateway.link import Link
from inference.gateway.metering.meter import Meter
from inference.gateway.metering.spool import Spool
from inference.gateway.requests.chat import parse_chat_request
from inference.gateway.requests.text import parse_completion_request
from inference.gateway.responses import surface as responses
from inference.gateway.responses.keeping import ResponseKeeper
from inference.gateway.routing.fleet import Fleet
from inference.gateway.snapshot import Snapshot
from inference.gateway.surfaces import models
from inference.gateway.surfaces.generating import GenerationSurface
from inference.gateway.surfaces.native import PREFIX as NATIVE_PREFIX
from inference.gateway.surfaces.native import NativeSurface
from inference.gateway.surfaces.native_rendering import NativeFaults
from inference.gateway.surfaces.openai import OpenAiSurface
from inference.gateway.surfaces.rendering import ChatDialect
from inference.gateway.surfaces.text_rendering import TextDialect

log = structlog.get_logger("inference.gateway")

CHAT_PATH = "/v1/chat/completions"
COMPLETIONS_PATH = "/v1/completions"
FORWARDED: dict[str, Callable[[dict[str, Any]], Errand]] = {
    embeddings.PATH: embeddings.embeddings_errand_of,
    moderations.PATH: moderations.moderations_errand_of,
    images.PATH: images.images_errand_of,
}
Surface = Callable[[Exchange], Awaitable[None]]


class Internal(GatewayFault):
    """A fault of ours."""


class Gateway:
    """The data plane. Create one per process, `start` it in the running loop, `stop` it at the end.

    `keeper` stores responses; a gateway without one stores none, and says so.

    As an ASGI application it answers `http` scopes whose path `serves` accepts (else OpenAI's 404)
    and, when it is the whole process, the `lifespan` scope. A mounting application that runs its own
    lifespan calls `start` and `stop` itself.
    """

    paths: tuple[str, ...] = (
        CHAT_PATH,
        COMPLETIONS_PATH,
        responses.PATH,
        *FORWARDED,
        models.PATH,
        NATIVE_PREFIX,
    )

    def __init__(self, config: GatewayConfig, *, keeper: ResponseKeeper | None = None) -> None:
        self._config = config
        timeouts = Timeouts(
            connect=config.connect_timeout_seconds,
            first_token=config.first_token_timeout_seconds,
            inter_token=config.inter_token_timeout_seconds,
            hang_up=config.hang_up_seconds,
        )
        self._valkey: Redis = Redis.from_url(
            config.valkey_url,
            protocol=2,
            socket_timeout=config.valkey_timeout_seconds,
            socket_connect_timeout=config.valkey_timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._link = Link(
            config.valkey_url, timeout_seconds=config.valkey_timeout_seconds, scripts=SCRIPTS | CACHE_SCRIPTS
        )
        self._directory = BackendDirectory(key=config.pod_key, timeouts=timeouts)
        self._snapshot = Snapshot(
            self._valkey,
            pepper=config.api_key_pepper,
            max_age_seconds=config.snapshot_max_age_seconds,
            outage_seconds=config.snapshot_outage_seconds,
        )
        self._meter = Meter(
            self._valkey, self._link, Spool(config.spool_dir, max_bytes=config.max_spool_bytes)
        )
        self._admission = Admission(self._valkey, self._link, self._snapshot)
        self._cache = AnswerCache(config, link=self._link, snapshot=self._snapshot)
        self._fleet = Fleet(config, self._directory, self._valkey)
        self._completer = Completer(
            config,
            snapshot=self._snapshot,
            dispatcher=self._fleet.dispatcher,
            meter=self._meter,
            admission=self._admission,
            cache=self._cache,
        )
        authenticator = Authenticator(
            self._snapshot, config.api_key_pepper, trusted_proxies=config.trusted_proxies
        )
        generation = GenerationSurface(config, authenticator=authenticator, completer=self._completer)
        chat = OpenAiSurface(
            config,
            authenticator=authenticator,
            generation=generation,
            parse=parse_chat_request,
            dialect=ChatDialect(),
        )
        completions = OpenAiSurface(
            config,
            authenticator=authenticator,
            generation=generation,
            parse=parse_completion_request,
            dialect=TextDialect(),
        )
        forwarder = Forwarder(
            config,
            completer=self._completer,
            dispatcher=self._fleet.dispatcher,
            meter=self._meter,
            admission=self._admission,
        )
        self._posted: dict[str, Surface] = {
            CHAT_PATH: chat.serve,
            COMPLETIONS_PATH: completions.serve,
            responses.PATH: responses.ResponsesSurface(
                config,
                authenticator=authenticator,
                generation=generation,
                snapshot=self._snapshot,
                keeper=keeper,
            ).serve,
        }
        for path, read in FORWARDED.items():
            surface = ForwardedSurface(config, authenticator=authenticator, forwarder=forwarder, read=read)
            self._posted[path] = surface.serve
        self._native = NativeSurface(
            config, authenticator=authenticator, completer=self._completer, generation=generation
        )
        self._models = models.ModelsSurface(
            authenticator=authenticator, completer=self._completer, snapshot=self._snapshot
        )

    async def start(self) -> None:
        """Subscribe to the snapshot and begin to write usage. Works while Valkey is down, too."""
        await self._snapshot.start()
        await self._meter.start()
        await self._admission.start()
        await self._fleet.start()

    async def stop(self) -> None:
        """Write the usage that waits, then close every connection. Call it after the last request."""
        await self._meter.stop()
        await self._fleet.stop()
        await self._admission.stop()
        await self._cache.stop()
        await self._snapshot.stop()
        await self._directory.aclose()
        await self._link.aclose()
        await self._valkey.aclose()

    @property
    def ready(self) -> bool:
        """Whether this process hears of changes and can record usage."""
        return self._snapshot.listening and self._meter.accepting

    def serves(self, path: str) -> bool:
        """Whether an HTTP path belongs to the gateway. Stored responses are the control plane's."""
        if path.startswith(f"{responses.PATH}/"):
            return False
        return any(path == own or path.startswith(f"{own}/") for own in self.paths)

    async def complete(
        self, principal: Principal, request: GenerationRequest
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Generate an answer for an in-process caller; see `ChatCompleter.complete`."""
        events = self._completer.run(await self._completer.plan(principal, request))
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, exchange: Exchange) -> None:
        code: str | None = None
        try:
            surface = self._surface(exchange)
            exchange.note_client_request_id()
            await surface(exchange)
        except ClientLeft:
            code = "client_left"
        except GatewayFault as fault:
            code = fault.code
            await exchange.answer_fault(fault)
        except Exception as error:
            code = "internal_error"
            log.exception("request_crashed", request_id=str(exchange.request_id), error=type(error).__name__)
            await exchange.answer_fault(Internal("The server had an error while processing the request."))
        log.info(
            "request",
            request_id=str(exchange.request_id),
            method=exchange.method,
            path=exchange.path[:128],
            status=exchange.status,
            code=code,
            ms=round(exchange.elapsed_ms, 2),
            **exchange.facts,
        )

    def _surface(self, exchange: Exchange) -> Surface:
        path = exchange.path
        if path in self._posted:
            self._allow(exchange, "POST")
            return self._posted[path]
        if path == models.PATH or path.startswith(f"{models.PATH}/"):
            self._allow(exchange, "GET")
            return self._models.serve
        if path.startswith(f"{NATIVE_PREFIX}/"):
            exchange.faults = NativeFaults()
            return self._native.serve
        raise UnknownRoute(f"Invalid URL ({exchange.method} {path[:128]})")

    @staticmethod
    def _allow(exchange: Exchange, method: str) -> None:
        if exchange.method != method:
            exchange.extra_headers.append((b"allow", method.encode()))
            raise MethodNotAllowed(f"Not allowed to {exchange.method} on {exchange.path[:128]}.")
