"""What the gateway asks of a model server, whatever protocol it speaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

EndReason = Literal["length", "eos_token", "stop_sequence"]


@dataclass(frozen=True, kw_only=True)
class GenerationCall:
    """One generation. `adapter_id` None means the base model; `temperature` 0 is greedy.

    `logprobs`: the caller wants each token's log probability. `regex` and `json_schema` constrain the answer,
    at most one of them. `cache_salt` keeps this organization's prefix cache apart from the others'.
    `served_as` is the name, with its hash, of the only model that may answer; None lets any.
    """

    prompt: str
    adapter_id: str | None
    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    json_schema: Mapping[str, object] | None = None
    regex: str | None = None
    logprobs: bool = False
    cache_salt: str | None = None
    served_as: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One generated token, or several that the server sent as one.

    `text` is empty while a character is incomplete; `special` text is not shown; `tokens` is how many tokens
    the piece stands for, as far as that is known before `End`.
    """

    text: str
    special: bool
    logprob: float | None
    top: tuple[tuple[str, float], ...] = ()
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class End:
    """The last event of a complete generation. Its counts are the server's own, and settle what was used."""

    reason: EndReason
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds a caller waits: for a connection, for the first token, between tokens."""

    connect: float = 5.0
    first_token: float = 120.0
    inter_token: float = 30.0


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


class Backend(Protocol):
    """A model server."""

    async def open(self, call: GenerationCall) -> BackendStream:
        """Start a generation. Raises a `BackendFault` when the server refuses it."""
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

    async def aclose(self) -> None:
        """Close every connection."""
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
