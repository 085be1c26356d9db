"""What callers of the gateway hold in their hands: configuration, principal, request, answer."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID

from kernel.addresses import Network

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway is told. It reads no environment and no settings of its own.

    `api_key_pepper` is the 32-byte key of the HMAC by which API keys are looked up; `pod_key` is the bearer
    token sent to pods; `spool_dir` receives usage records while Valkey is down; `X-Forwarded-For` is believed
    of `trusted_proxies` only. Durations are in seconds.
    """

    valkey_url: str
    api_key_pepper: bytes = field(repr=False)
    pod_key: str = field(repr=False)
    spool_dir: Path
    trusted_proxies: tuple[Network, ...] = ()
    snapshot_max_age_seconds: float = 30.0
    snapshot_outage_seconds: float = 60.0
    valkey_timeout_seconds: float = 1.0
    connect_timeout_seconds: float = 5.0
    first_token_timeout_seconds: float = 120.0
    inter_token_timeout_seconds: float = 30.0
    request_timeout_seconds: float = 900.0
    body_timeout_seconds: float = 30.0
    keep_alive_seconds: float = 10.0
    recheck_key_seconds: float = 2.0
    max_body_bytes: int = 4 * 1024 * 1024
    max_concurrent_requests: int = 1024
    max_spool_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks. Ids are UUID strings; `key_id` is None for a console user, `user_id` None for an API key.

    `models` are the only aliases that may be used; empty restricts nothing. `maker_id` is the person who made
    the key: what it uses counts as theirs.
    """

    organization_id: str
    project_id: str
    key_id: str | None
    user_id: str | None
    permissions: frozenset[str]
    maker_id: str | None = None
    models: frozenset[str] = frozenset()


# Where an ASGI scope holds an `InProcessCall`. No client can put one there: servers make the scopes of what
# comes over the network.
IN_PROCESS = "loomworks.call"


@dataclass(frozen=True)
class InProcessCall:
    """A request that a caller in this process makes of the ASGI application: who asks, and under which id.

    `request_id` is a UUIDv7 of the request's time, since usage is kept by it.
    """

    principal: Principal
    request_id: UUID


@dataclass(frozen=True)
class ChatMessage:
    """One turn. OpenAI's `developer` role arrives here as `system`."""

    role: Role
    content: str


@dataclass(frozen=True)
class Grammar:
    """A constraint on the output: `kind` is `json` and `value` a JSON Schema."""

    kind: Literal["json"]
    value: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """A validated chat completion request. Defaults are OpenAI's; only `model` and `messages` are required.

    `model` is the deployment's alias. `max_tokens` None means what fits the context. `temperature` 0
    is greedy.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0
    grammar: Grammar | None = None
    stream: bool = False
    include_usage: bool = False
    surface: str = "chat.completions"


@dataclass(frozen=True)
class Usage:
    """Tokens of one request, as billed."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """The model has produced its first token; which model, by digest, is settled. Always the first event."""

    request_id: str
    created: int
    model: str
    deployment_id: str
    model_version_id: str
    digest: str


@dataclass(frozen=True)
class TopLogprob:
    """An alternative at one position."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. `text` may be empty: part of a character, or held back before a stop sequence."""

    text: str
    logprob: float | None = None
    top: tuple[TopLogprob, ...] = ()


@dataclass(frozen=True)
class Finished:
    """The end of an answer. Always the last event; its absence means a `GatewayFault` was raised instead."""

    finish_reason: FinishReason
    usage: Usage


ChatEvent = Started | Token | Finished


class ChatCompleter(Protocol):
    """What `inference.gateway.application.Gateway` offers to in-process callers such as the chat consumer."""

    def complete(self, principal: Principal, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Generate an answer: one `Started`, any number of `Token`, one `Finished`.

        Raises a `GatewayFault` (`inference.gateway.faults`) from the first `anext` when nothing was generated
        (unknown model, not ready, too long, overloaded…) and from a later one when the model fails midway:
        what was yielded until then stays valid and is metered. Closing the iterator (`aclose()`) or
        cancelling the task that waits on it cancels the request on the pod and meters what was
        produced, once.
        """
        ...
