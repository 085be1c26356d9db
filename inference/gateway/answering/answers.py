"""An answer gathered whole, and the best of several."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from inference.gateway.contract import Ended, Finished, GenerationEvent, Started, Token
from inference.gateway.faults import ModelFailed
from inference.gateway.planning.plans import Plan

_NOT_KNOWN = float("-inf")


@dataclass
class Choice:
    """One answer: its tokens and how it ended."""

    tokens: list[Token] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def text(self) -> str:
        """What is shown of it."""
        return "".join([token.text for token in self.tokens if not token.special])

    @property
    def end(self) -> Ended:
        """How it ended. Raises `ModelFailed` where that is missing."""
        if self.ended is None:
            raise ModelFailed("The model failed while it generated the answer.")
        return self.ended

    @property
    def mean_logprob(self) -> float:
        """Of the tokens whose log probability is known."""
        known = [token.logprob for token in self.tokens if token.logprob is not None]
        return sum(known) / len(known) if known else _NOT_KNOWN


@dataclass(frozen=True)
class Answer:
    """All answers of a request in their order, the best first where the best were chosen."""

    choices: Sequence[Choice]
    started: Started
    finished: Finished


async def gathered(plan: Plan, events: AsyncIterator[GenerationEvent]) -> Answer:
    """Everything a request brings. Raises what the events raise, and `ModelFailed` where their end lacks."""
    choices = [Choice() for _ in range(plan.answers)]
    started: Started | None = None
    finished: Finished | None = None
    async for event in events:
        if type(event) is Token:
            choices[event.index].tokens.append(event)
        elif type(event) is Ended:
            choices[event.index].ended = event
        elif type(event) is Started:
            started = event
        elif type(event) is Finished:
            finished = event
    if started is None or finished is None:
        raise ModelFailed("The model failed while it generated the answer.")
    return Answer(choices, started, finished)


def best(answer: Answer, plan: Plan) -> list[Choice]:
    """Of each prompt the `n` answers with the highest mean log probability, all where none is chosen."""
    candidates, wanted = plan.request.candidates, plan.request.n
    if candidates == wanted:
        return list(answer.choices)
    return [
        choice
        for first in range(0, len(answer.choices), candidates)
        for choice in ranked(answer.choices[first : first + candidates])[:wanted]
    ]


def ranked(choices: Sequence[Choice]) -> list[Choice]:
    """The likeliest first."""
    return sorted(choices, key=lambda choice: choice.mean_logprob, reverse=True)
