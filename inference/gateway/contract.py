"""What callers of the gateway hold in their hands: configuration, principal, request, answer."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from inference.backends.interface import Alternative, EndReason
from inference.gateway.metering.usage import CacheOutcome
from kernel.addresses import Network

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "content_filter"]
# What a caller wants of the cache: `anew` keeps what is kept unasked, and gives nothing that was kept.
CacheWish = Literal["auto", "use", "bypass", "refresh", "anew"]


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway is told. It reads no environment and no settings of its own.

    `api_key_pepper` is the 32-byte key of the HMAC by which API keys are looked up; `pod_key` is the bearer
    token sent to pods; `spool_dir` receives usage records while Valkey is down; `X-Forwarded-For` is believed
    of `trusted_proxies` only. A server has room while fewer than `room_tokens` are outstanding there; a
    request waits `room_seconds` for it at most. A server that was told to stop is listened to for
    `hang_up_seconds`, to count what it had made. Durations are in seconds.
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
    hang_up_seconds: float = 0.8
    request_timeout_seconds: float = 900.0
    body_timeout_seconds: float = 30.0
    keep_alive_seconds: float = 10.0
    probe_seconds: float = 5.0
    share_load_seconds: float = 0.2
    recheck_key_seconds: float = 2.0
    max_body_bytes: int = 4 * 1024 * 1024
    max_concurrent_requests: int = 1024
    max_waiting_requests: int = 4096
    max_waiting_bytes: int = 64 * 1024 * 1024
    room_tokens: int = 262_144
    room_seconds: float = 60.0
    max_spool_bytes: int = 64 * 1024 * 1024
    cache_seconds: float = 24 * 3600.0
    cache_wait_seconds: float = 2.0
    cache_organization_bytes: int = 64 * 1024 * 1024
    cache_memory_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks. Ids are UUID strings; `key_id` is None for a console user, `user_id` None for an API key.

    `models` are the only aliases that may be used; empty restricts nothing. `maker_id` is the person who made
    the key: what it uses counts as theirs. `batch`: a batch asks for them, while they do something else.
    """

    organization_id: str
    project_id: str
    key_id: str | None
    user_id: str | None
    permissions: frozenset[str]
    maker_id: str | None = None
    models: frozenset[str] = frozenset()
    batch: bool = False


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
class ToolCall:
    """A model's wish that a function be called. `arguments` is a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Tools:
    """Functions that the model may call, in OpenAI's form; must call, where `required`.

    `only` names the one that must be called. Unless `parallel`, the answer ends with the first call.
    """

    definitions: tuple[Mapping[str, object], ...]
    required: bool = False
    only: str | None = None
    parallel: bool = True

    @property
    def names(self) -> frozenset[str]:
        """Of all functions."""
        return frozenset(str(one["name"]) for one in self._functions)

    @property
    def strict(self) -> Mapping[str, object]:
        """The schemas, by name, of the functions whose calls count only with arguments that fit them."""
        wanted = [one for one in self._functions if one.get("strict")]
        return {str(one["name"]): one.get("parameters", True) for one in wanted}

    @property
    def shown(self) -> list[Mapping[str, object]]:
        """As the model is told of them, which heeds no strictness."""
        bare = ({name: one[name] for name in one if name != "strict"} for one in self._functions)
        return [{"type": "function", "function": one} for one in bare]

    @property
    def _functions(self) -> list[Mapping[str, object]]:
        functions = [one["function"] for one in self.definitions]
        return [one for one in functions if isinstance(one, Mapping)]


@dataclass(frozen=True)
class ChatMessage:
    """One turn. OpenAI's `developer` role arrives here as `system`. `name` says who speaks in a role.

    An assistant's turn may have calls, and a tool's turn answers the one that it names.
    """

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True)
class Grammar:
    """A constraint on the output: any JSON object, JSON that a schema describes, or a regular expression."""

    kind: Literal["json", "json_object", "regex"]
    schema: Mapping[str, object] = field(default_factory=dict)
    pattern: str = ""


@dataclass(frozen=True)
class PromptReference:
    """The prompt template that a caller fills, and with what; `version` None is the one that is pinned."""

    prompt_id: str
    version: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """A validated request of any surface. Defaults are OpenAI's.

    `model` is the deployment's alias. Exactly one of `messages` and `prompts` is given, or neither where the
    messages are those of the prompt template that `prompt` refers to; of each prompt there
    are `n` answers, chosen among `candidates` by their mean log probability. `max_tokens` None means what
    fits the context. `temperature` 0 is greedy. `verbatim` asks for every token as the server gives it:
    control tokens too, and stop sequences left in. `echo` puts the prompt before the answer; `suffix` is what
    follows the gap that the answer fills. `given` are the parameters that the caller wrote, by the names of
    the surface. The deployment's policy put `led_by` messages before the caller's. `flexible`: it may wait
    for all that are not. `patience_seconds`: so long the caller waits for an answer to begin, as far as it
    said.
    """

    model: str
    messages: tuple[ChatMessage, ...] = ()
    prompts: tuple[str, ...] = ()
    prompt: PromptReference | None = None
    suffix: str | None = None
    echo: bool = False
    n: int = 1
    best_of: int | None = None
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    typical_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] | None = None
    truncate: int | None = None
    watermark: bool = False
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0
    grammar: Grammar | None = None
    tools: Tools | None = None
    verbatim: bool = False
    details: bool = False
    stream: bool = False
    include_usage: bool = False
    surface: str = "chat.completions"
    cache: CacheWish = "auto"
    given: frozenset[str] = frozenset()
    led_by: int = 0
    flexible: bool = False
    patience_seconds: float | None = None

    def __post_init__(self) -> None:
        if bool(self.messages or self.prompt) == bool(self.prompts):
            raise ValueError("A request has either messages or prompts.")

    @property
    def subject(self) -> str:
        """The parameter that holds what the model reads."""
        if self.surface == "responses":
            return "input"
        return "messages" if self.messages else "prompt"

    @property
    def characters(self) -> int:
        """Of all that the caller says."""
        filled = self.prompt.variables.values() if self.prompt is not None else ()
        return sum(map(len, (*(one.content for one in self.messages), *self.prompts, *filled)))

    @property
    def candidates(self) -> int:
        """How many answers are generated of each prompt."""
        return self.n if self.best_of is None else max(self.n, self.best_of)


@dataclass(frozen=True)
class Usage:
    """Tokens of one request, as billed."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """The model has produced its first token; which model, by digest, is settled. Always the first event.

    A `hit` was made `age_seconds` ago.
    """

    request_id: str
    created: int
    model: str
    deployment_id: str
    model_version_id: str
    digest: str
    cache: CacheOutcome = "off"
    age_seconds: int = 0


class Token(NamedTuple):
    """One generated token of the answer `index`.

    `text` may be empty: part of a character, or held back before a stop sequence. `id`, `special` and `last`
    are told in verbatim answers only; `last` where the model server says so.
    """

    text: str
    logprob: float | None = None
    top: tuple[Alternative, ...] = ()
    index: int = 0  # type: ignore[assignment]  # nobody looks a value up in a token
    id: int | None = None
    special: bool = False
    last: bool = False


@dataclass(frozen=True)
class Ended:
    """The answer `index` is complete. `reason` is the model server's word for `finish_reason`.

    It has none for `content_filter`, with which the deployment's policy ends an answer.

    `seed` is what it was generated with, None where nobody chose one.
    """

    index: int
    finish_reason: FinishReason
    reason: EndReason
    seed: int | None = None


@dataclass(frozen=True)
class Finished:
    """The end of a request. Always the last event; its absence means a `GatewayFault` was raised instead.

    `finish_reason` is the first answer's.
    """

    finish_reason: FinishReason
    usage: Usage


GenerationEvent = Started | Token | Ended | Finished


class ChatCompleter(Protocol):
    """What `inference.gateway.application.Gateway` offers to in-process callers such as the chat consumer."""

    def complete(
        self, principal: Principal, request: GenerationRequest
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Generate answers: one `Started`; of each any number of `Token` and one `Ended`; one `Finished`.

        Answers are numbered prompt by prompt. Tokens of several arrive as they are made, each answer's own in
        their order.

        Raises a `GatewayFault` (`inference.gateway.faults`) from the first `anext` when nothing was generated
        (unknown model, not ready, too long, overloaded…) and from a later one when the model fails midway:
        what was yielded until then stays valid and is metered. Closing the iterator (`aclose()`) or
        cancelling the task that waits on it cancels the request on the pod and meters what was
        produced, once.
        """
        ...
