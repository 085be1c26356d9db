"""What is asked of a model server besides generations, and what is made of its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from inference.backends.interface import ForwardedAnswer
from inference.gateway.contract import Usage
from inference.gateway.entries import Deployment
from inference.gateway.faults import ModelFailed, UnsupportedParameter

# A tokenizer adds a few at the ends of a text.
ADDED_TOKENS = 16


@dataclass(frozen=True)
class Requirement:
    """A feature that every server of the deployment must have; the rest says so where one lacks it."""

    feature: str
    param: str
    sentence: str


@dataclass(frozen=True)
class Rendered:
    """The body of the answer, and what it used."""

    body: bytes
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A validated request. `model` is the deployment's alias; `body` goes to the server's `route`.

    `subject` is the parameter that holds what the model reads: `texts`, unless it is tokens, of `most_tokens`
    at most. `render` makes the caller's answer of the server's, under the request's id; it raises
    `ModelFailed` for one of another shape. `generates`: the answer is a machine's work and says so.
    """

    model: str
    surface: str
    route: str
    body: Mapping[str, object]
    subject: str
    texts: Sequence[str]
    most_tokens: int
    requirements: Sequence[Requirement]
    render: Callable[[UUID, ForwardedAnswer], Rendered]
    generates: bool = False

    def check(self, deployment: Deployment) -> None:
        """Raise `UnsupportedParameter` for what the deployment's servers cannot do."""
        for required in self.requirements:
            if required.feature not in deployment.features:
                raise UnsupportedParameter(
                    required.sentence.format(model=deployment.alias), param=required.param
                )


def most_tokens_of(texts: Sequence[str]) -> int:
    """A text has no more tokens than bytes, save for those that are added."""
    return sum(len(text.encode()) + ADDED_TOKENS for text in texts)


def other_shape(of: str) -> ModelFailed:
    """The fault for an answer that does not hold what was asked for."""
    return ModelFailed(f"The model's server answered without {of}.")


def tokens_in(usage: object, name: str) -> int | None:
    """A count of a server's `usage`; None where it does not tell it."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
