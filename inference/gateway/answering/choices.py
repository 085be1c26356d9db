"""Several answers of one request, generated at the same time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from inference.gateway.contract import Ended, FinishReason, Started, Token

# So many events may wait for a slow reader before the generations wait too.
_WAITING_EVENTS = 64

AnswerEvent = Started | Token | Ended


class Generation(Protocol):
    """One answer under way. `prompt` numbers its prompt; `began` once a token of it has arrived."""

    prompt: int
    began: bool
    prompt_tokens: int | None
    reason: FinishReason

    def events(self) -> AsyncGenerator[AnswerEvent, None]:
        """`Started`, tokens, `Ended`."""
        ...

    def close(self) -> None:
        """Leave the model server alone, counting what had arrived."""
        ...

    async def rest(self) -> None:
        """After `close`: count what the model server made besides before it stopped."""
        ...

    async def count_prompt(self) -> int:
        """The prompt's tokens as the model server counts them. Raises a `BackendFault`."""
        ...


class Choices:
    """The generations of one request, and what their prompts used: each is billed once."""

    def __init__(self, generations: Sequence[Generation]) -> None:
        self._generations = generations

    @property
    def reason(self) -> FinishReason:
        """Why the first answer ended."""
        return self._generations[0].reason

    def events(self) -> AsyncGenerator[AnswerEvent, None]:
        """`Started` once, tokens, one `Ended` for each. The first fault ends all."""
        if len(self._generations) == 1:
            return self._generations[0].events()
        return _together([generation.events() for generation in self._generations])

    def close(self) -> None:
        """Leave the model server alone."""
        for generation in self._generations:
            generation.close()

    async def rest(self) -> None:
        """After `close`: count what the model server made besides before it stopped."""
        await asyncio.gather(*(generation.rest() for generation in self._generations))

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of all prompts to which anything was generated; None where one's are not known."""
        counts = [tokens for _, tokens in self._prompts()]
        return None if None in counts else sum(tokens for tokens in counts if tokens is not None)

    async def count_prompts(self) -> int:
        """As `prompt_tokens`, asking the model server for what is not known. Raises a `BackendFault`."""
        total = 0
        for generation, tokens in self._prompts():
            total += await generation.count_prompt() if tokens is None else tokens
        return total

    def _prompts(self) -> list[tuple[Generation, int | None]]:
        """A generation of each prompt that was begun, with the prompt's tokens if any of them knows."""
        found: dict[int, tuple[Generation, int | None]] = {}
        for generation in self._generations:
            if generation.began and found.get(generation.prompt, (None, None))[1] is None:
                found[generation.prompt] = (generation, generation.prompt_tokens)
        return list(found.values())


@dataclass(frozen=True)
class _Done:
    """A generation's end, or its fault."""

    fault: Exception | None = None


async def _together(
    streams: Sequence[AsyncGenerator[AnswerEvent, None]],
) -> AsyncGenerator[AnswerEvent, None]:
    queue: asyncio.Queue[AnswerEvent | _Done] = asyncio.Queue(_WAITING_EVENTS)
    tasks = [asyncio.create_task(_feed(stream, queue), name="gateway-choice") for stream in streams]
    left, started = len(streams), False
    try:
        while left:
            event = await queue.get()
            if isinstance(event, _Done):
                if event.fault is not None:
                    raise event.fault
                left -= 1
            elif not isinstance(event, Started) or not started:
                started = True
                yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(
    stream: AsyncGenerator[AnswerEvent, None], queue: "asyncio.Queue[AnswerEvent | _Done]"
) -> None:
    try:
        async for event in stream:
            await queue.put(event)
    except Exception as fault:
        await queue.put(_Done(fault))
    else:
        await queue.put(_Done())
    finally:
        await stream.aclose()
