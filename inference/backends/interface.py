"""What the gateway asks of a model server, whatever protocol it speaks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

EndReason = Literal["length", "eos_token", "stop_sequence"]


@dataclass(frozen=True, kw_only=True)
class GenerationCall:
    """One generation. `adapter_id` None means the base model; `temperature` 0 is greedy.

    What is at its default asks for nothing. Who makes a call has seen to it that the server can do what it
    asks (`abilities_of`). `truncate` keeps so many of the prompt's last tokens; `logit_bias` maps token ids
    to what is added to their logits; `json_schema` and `regex` exclude each other. `logprobs`: the caller
    wants each token's log probability. `cache_salt` keeps this organization's prefix cache apart from the
    others'. `served_as` is the name, with its hash, of the only model that may answer; None lets any.
    """

    prompt: str
    adapter_id: str | None
    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    top_k: int = 0
    typical_p: float = 1.0
    truncate: int | None = None
    watermark: bool = False
    logit_bias: Mapping[int, float] | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    json_schema: Mapping[str, object] | None = None
    regex: str | None = None
    logprobs: bool = False
    cache_salt: str | None = None
    served_as: str | None = None


class Alternative(NamedTuple):
    """A token that could have stood at a position. `id` is None where the server does not tell it."""

    text: str
    logprob: float
    id: int | None = None
    special: bool = False


class Piece(NamedTuple):
    """One generated token, or several that the server sent as one.

    `text` is empty while a character is incomplete; `special` text is not shown. `id` is None where the
    server does not tell it; `last` where the server says that the end follows. `tokens` is how many tokens
    the piece stands for, as far as that is known before `End`.
    """

    text: str
    special: bool
    logprob: float | None
    top: tuple[Alternative, ...] = ()
    id: int | None = None
    last: bool = False
    tokens: int = 1


class TokenPlace(NamedTuple):
    """A token of a text, which it spells from character `start` up to before `stop`."""

    id: int
    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class End:
    """The last event of a complete generation. Its counts are the server's own, and settle what was used."""

    reason: EndReason
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds a caller waits: for a connection, for the first token, between tokens, for a server to stop."""

    connect: float = 5.0
    first_token: float = 120.0
    inter_token: float = 30.0
    hang_up: float = 0.8


class BackendStream(Protocol):
    """A generation under way."""

    @property
    def prompt_tokens(self) -> int | None:
        """The prompt's length, as soon as the server has told it."""
        ...

    async def next(self) -> Piece | End:
        """The next event; nothing follows `End`.

        Raises a `BackendFault` when the generation fails, `OtherModel` when not `served_as` answers.
        """
        ...

    def close(self) -> int:
        """End the generation on the server. Returns how many tokens had arrived without being taken."""
        ...

    async def rest(self) -> int:
        """After `close`: how many tokens the server had made besides before it stopped.

        Waits for it to stop, `Timeouts.hang_up` at most.
        """
        ...


Begun = Callable[[BackendStream], object]


def forget(stream: BackendStream) -> None:
    """Nobody counts what was begun."""


class Backend(Protocol):
    """A model server."""

    async def open(self, call: GenerationCall, begun: Begun = forget) -> BackendStream:
        """Start a generation. Raises a `BackendFault` when the server refuses it.

        `begun` gets the stream as soon as the request was sent: whoever is cancelled while they wait for the
        server's word can close it, and count what came.
        """
        ...

    async def count_tokens(self, call: GenerationCall) -> int:
        """Tokens of the call's prompt, as the server counts them. Raises `CannotCount`, or another fault."""
        ...

    async def healthy(self) -> bool:
        """Whether the server says that it can serve."""
        ...

    async def describe(self) -> Mapping[str, object]:
        """What the server says of itself."""
        ...

    async def aclose(self, *, at_once: bool = False) -> None:
        """Close every connection: busy ones as they finish, or `at_once`."""
        ...


@runtime_checkable
class TellsTokens(Protocol):
    """A model server that tells the tokens of a text, and not only how many they are."""

    async def tokens(self, call: GenerationCall) -> list[TokenPlace]:
        """The tokens of the call's prompt in their order. Raises a `BackendFault`."""
        ...


@dataclass(frozen=True, kw_only=True)
class ForwardedCall:
    """A request of another kind than generations. `body` lacks only the model's name.

    `adapter_id` None means the base model; `served_as` is the only model that may answer; None lets any.
    """

    route: str
    body: Mapping[str, object]
    adapter_id: str | None
    served_as: str | None = None


ForwardedAnswer = Mapping[str, Any]


@runtime_checkable
class Forwards(Protocol):
    """A model server that answers more than generations, each in one JSON object."""

    async def forward(self, call: ForwardedCall) -> ForwardedAnswer:
        """The answer. Raises a `BackendFault`, `OtherModel` when not `served_as` answers."""
        ...


@dataclass(frozen=True)
class BackendAddress:
    """A server of a deployment.

    `features`: optional abilities the control plane vouches for. `served_name`: what the base model is called
    there, where it is not called by its hash.
    """

    kind: str
    url: str
    features: frozenset[str] = field(default_factory=frozenset)
    served_name: str | None = None
