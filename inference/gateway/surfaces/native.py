"""Text Generation Inference's API, for the deployment that the path names: `/tgi/{model}/…`.

It has OpenAI's addresses too, at `/tgi/{model}/v1/…`, as TGI has: its clients ask there for chats.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import orjson

from inference.backends.interface import TokenPlace
from inference.gateway.answering.completion import Completer
from inference.gateway.authentication import Authenticator, identified, must
from inference.gateway.contract import GatewayConfig, GenerationRequest, Principal
from inference.gateway.entries import Deployment
from inference.gateway.faults import InvalidValue, MethodNotAllowed, UnknownRoute, UnsupportedParameter
from inference.gateway.http import Exchange
from inference.gateway.planning.prompts import chat_prompt
from inference.gateway.policy.applying import check_texts
from inference.gateway.policy.notes import GuardNotes
from inference.gateway.requests.chat import chat_request_of
from inference.gateway.requests.native import MAX_BEST_OF, native_request_of
from inference.gateway.requests.parameters import MAX_STOPS, document_of
from inference.gateway.requests.text import completion_request_of
from inference.gateway.surfaces.generating import GenerationSurface
from inference.gateway.surfaces.native_rendering import NativeDialect
from inference.gateway.surfaces.rendering import ChatDialect, model_object
from inference.gateway.surfaces.text_rendering import TextDialect

PREFIX = "/tgi"
_VERSION = "3.3.7"
# What TGI's own clients call the model where they are not told a name.
_UNNAMED = frozenset({None, "tgi", "dummy"})

_Serve = Callable[[Exchange, Principal, Deployment], Awaitable[None]]


class NativeSurface:
    """Generates, tokenizes and tells about one deployment."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        authenticator: Authenticator,
        completer: Completer,
        generation: GenerationSurface,
    ) -> None:
        self._config, self._authenticator = config, authenticator
        self._completer, self._generation = completer, generation
        self._routes: dict[str, tuple[str, _Serve]] = {
            "": ("POST", self._root),
            "generate": ("POST", self._whole),
            "generate_stream": ("POST", self._stream),
            "tokenize": ("POST", self._tokenize),
            "chat_tokenize": ("POST", self._chat_tokenize),
            "v1/chat/completions": ("POST", self._chat),
            "v1/completions": ("POST", self._text),
            "v1/models": ("GET", self._models),
            "info": ("GET", self._info),
            "health": ("GET", self._health),
        }

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        principal = await identified(exchange, self._authenticator)
        must(principal, "inference.complete")
        model, endpoint = self._place(exchange)
        method, serve = self._routes[endpoint]
        if exchange.method != method:
            exchange.extra_headers.append((b"allow", method.encode()))
            raise MethodNotAllowed(f"Not allowed to {exchange.method} on {exchange.path[:128]}.")
        await serve(exchange, principal, await self._completer.deployment(principal, model))

    def _place(self, exchange: Exchange) -> tuple[str, str]:
        """The model and the endpoint. A slash within a model's name is best written `%2F`."""
        path = exchange.raw_path.decode("latin-1").removeprefix(f"{PREFIX}/").rstrip("/")
        endpoint = next((one for one in self._routes if one and path.endswith(f"/{one}")), "")
        model = "/".join(unquote(part) for part in path.removesuffix(f"/{endpoint}").split("/"))
        if not model:
            raise UnknownRoute(f"Invalid URL ({exchange.method} {exchange.path[:128]})")
        return model, endpoint

    async def _root(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        """A list, or a stream where the body wants one, as old clients expect."""
        document = document_of(await exchange.body(self._config))
        await self._generate(exchange, principal, deployment, document, streams=None)

    async def _whole(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        document = document_of(await exchange.body(self._config))
        await self._generate(exchange, principal, deployment, document, streams=False)

    async def _stream(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        document = document_of(await exchange.body(self._config))
        await self._generate(exchange, principal, deployment, document, streams=True)

    async def _generate(
        self,
        exchange: Exchange,
        principal: Principal,
        deployment: Deployment,
        document: dict[str, Any],
        *,
        streams: bool | None,
    ) -> None:
        """`streams` None leaves it to the body."""
        request = _request(document, deployment, stream=streams)
        dialect = NativeDialect(as_list=streams is None, planned_ms=exchange.elapsed_ms)
        await self._generation.generate(exchange, principal, request, dialect)

    async def _chat(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        document = document_of(await exchange.body(self._config))
        request = chat_request_of(_named(document, deployment))
        await self._generation.generate(exchange, principal, request, ChatDialect())

    async def _text(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        document = document_of(await exchange.body(self._config))
        request = completion_request_of(_named(document, deployment))
        await self._generation.generate(exchange, principal, request, TextDialect())

    async def _models(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        only = model_object(deployment, principal.organization_id)
        await exchange.answer(orjson.dumps({"object": "list", "data": [only]}))

    async def _tokenize(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        document = document_of(await exchange.body(self._config))
        request = _request(document, deployment, stream=False)
        _look_through(request, deployment)
        places = await self._completer.tokens(principal, deployment, request.prompts[0])
        await exchange.answer(orjson.dumps(_shown(places)))

    async def _chat_tokenize(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        document = document_of(await exchange.body(self._config))
        request = chat_request_of(document | {"model": deployment.alias})
        _look_through(request, deployment)
        prompt = chat_prompt(request, deployment)
        places = await self._completer.tokens(principal, deployment, prompt)
        await exchange.answer(orjson.dumps({"tokenize_response": _shown(places), "templated_text": prompt}))

    async def _info(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        """What TGI tells of itself, told of the deployment; `version` is that of TGI's protocol."""
        document = {
            "model_id": deployment.alias,
            "model_sha": deployment.digest,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": self._config.max_concurrent_requests,
            "max_best_of": MAX_BEST_OF,
            "max_stop_sequences": MAX_STOPS,
            "max_input_tokens": max(0, deployment.context_tokens - 1),
            "max_total_tokens": deployment.context_tokens,
            "validation_workers": 1,
            "max_client_batch_size": 1,
            "router": "loomworks-gateway",
            "version": _VERSION,
            "sha": None,
            "docker_label": None,
        }
        await exchange.answer(orjson.dumps(document))

    async def _health(self, exchange: Exchange, principal: Principal, deployment: Deployment) -> None:
        await self._completer.check_health(deployment)
        await exchange.answer(b"")


def _request(document: dict[str, Any], deployment: Deployment, *, stream: bool | None) -> GenerationRequest:
    return native_request_of(
        document,
        model=deployment.alias,
        stream=stream,
        answers_to=lambda adapter: adapter in {deployment.adapter_id, deployment.alias},
    )


def _named(document: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    """A request in OpenAI's words, to the deployment of the path. Raises `InvalidValue` for another model."""
    named = document.get("model")
    if named not in (*_UNNAMED, deployment.adapter_id, deployment.alias):
        raise InvalidValue(
            "Invalid value for 'model': the model is chosen by the path of the request; leave it out.",
            param="model",
        )
    return document | {"model": deployment.alias}


def _look_through(request: GenerationRequest, deployment: Deployment) -> None:
    """What a server is to count is shown to it as it is, without the deployment's own prompt.

    Raises `ContentPolicyViolation`, and `UnsupportedParameter` for the variables of a prompt template.
    """
    if request.prompt is not None:
        raise UnsupportedParameter(
            "Unsupported parameter: 'prompt'. Tokens are told of messages alone.", param="prompt"
        )
    texts = [*request.prompts, *(one.content for one in request.messages)]
    check_texts(texts, deployment.policy, GuardNotes(), request.subject)


def _shown(places: list[TokenPlace]) -> list[dict[str, Any]]:
    return [place._asdict() for place in places]
