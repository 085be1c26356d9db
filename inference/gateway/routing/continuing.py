"""An answer whose server dies midway goes on at another one, which reads prompt and text so far.

What is counted is one generation's: the prompt once, each token once, also those of a character whose first
bytes came from the server that died and which is therefore made again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from inference.backends.faults import BackendFault, Broken, Overloaded, TimedOut, Unreachable
from inference.backends.interface import BackendStream, End, GenerationCall, Piece

MOST_CONTINUATIONS = 2

# What tells that the server, and not the request, came to its end.
_DIED = (Broken, Overloaded, TimedOut, Unreachable)

Onward = Callable[[GenerationCall, BackendFault], Awaitable[BackendStream]]


def may_continue(call: GenerationCall) -> bool:
    """Whether another server, given the text so far as part of its prompt, would go on as this one would.

    Not where it would begin anew what depends on the answer's own tokens: a grammar, penalties on what the
    answer has said, the draws of a seed, log probabilities of tokens that are cut otherwise the second time.
    """
    draws_by_seed = call.seed is not None and call.temperature > 0 and call.top_p > 0
    begins_anew = call.frequency_penalty or call.presence_penalty or call.truncate is not None
    grammar = call.json_schema is not None or call.regex is not None
    return not (draws_by_seed or begins_anew or grammar or call.logprobs or call.top_logprobs)


class Continuing:
    """A generation on as many servers as it takes, at most three. It is a `BackendStream`.

    `onward` begins a call elsewhere, or raises the fault that it is given. `prompt_tokens` is the prompt's
    length where it is known, `count` finds it out otherwise.
    """

    __slots__ = (
        "_before",
        "_call",
        "_controlled",
        "_count",
        "_left",
        "_made",
        "_onward",
        "_prompt_tokens",
        "_seen",
        "_stream",
        "_text",
        "_told",
    )

    def __init__(
        self,
        stream: BackendStream,
        call: GenerationCall,
        onward: Onward,
        *,
        count: Callable[[], Awaitable[int]],
        prompt_tokens: int | None,
    ) -> None:
        self._stream, self._call, self._onward, self._count = stream, call, onward, count
        self._prompt_tokens = prompt_tokens
        self._left = MOST_CONTINUATIONS
        self._text: list[str] = []
        self._controlled = False
        # Tokens: made by servers that are gone, made up to the last text, made in all, told to the caller.
        self._before = self._made = self._seen = self._told = 0

    @property
    def prompt_tokens(self) -> int | None:
        """See `BackendStream`; of the prompt as it was asked, without what was continued."""
        if self._prompt_tokens is None and self._left == MOST_CONTINUATIONS:
            return self._stream.prompt_tokens
        return self._prompt_tokens

    async def next(self) -> Piece | End:
        """See `BackendStream`. Raises the fault of the server that died where nobody goes on."""
        while True:
            try:
                event = await self._stream.next()
            except BackendFault as fault:
                await self._go_on(fault)
                if self._made >= self._call.max_new_tokens:
                    return await self._ended(End("length", 0, 0))
                continue
            return self._noted(event) if isinstance(event, Piece) else await self._ended(event)

    def close(self) -> int:
        """See `BackendStream`."""
        return self._untold(self._stream.close())

    async def rest(self) -> int:
        """See `BackendStream`."""
        return self._untold(await self._stream.rest())

    def _untold(self, tokens: int) -> int:
        """Of so many further tokens, those that were not told before a server died."""
        self._seen += tokens
        untold = max(0, self._seen - self._told)
        self._told += untold
        return untold

    async def _go_on(self, fault: BackendFault) -> None:
        if self._controlled or not self._left or not isinstance(fault, _DIED):
            raise fault
        self._prompt_tokens = self.prompt_tokens
        rest = self._call.max_new_tokens - self._made
        if rest > 0:
            prompt = self._call.prompt + "".join(self._text)
            onward = await self._onward(replace(self._call, prompt=prompt, max_new_tokens=rest), fault)
            self._stream.close()
            self._stream = onward
        self._left -= 1
        self._before = self._seen = self._made

    def _noted(self, piece: Piece) -> Piece:
        """The piece as it is told: without tokens that were told before."""
        # After a control token, what is the answer's text and what its end can no longer be told apart.
        self._controlled = self._controlled or piece.special
        untold = self._untold(piece.tokens)
        if piece.text:
            self._text.append(piece.text)
            self._made = self._seen
        return piece if untold == piece.tokens else piece._replace(tokens=untold)

    async def _ended(self, end: End) -> End:
        if self._left == MOST_CONTINUATIONS:
            return end
        if self._prompt_tokens is None:
            self._prompt_tokens = await self._counted(end)
        return End(end.reason, self._prompt_tokens, self._before + end.completion_tokens)

    async def _counted(self, end: End) -> int:
        try:
            return await self._count()
        except BackendFault:
            # No server counts: what the last one read, less what the answer had by then.
            return max(0, end.prompt_tokens - self._before)
