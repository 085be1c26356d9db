"""Tokens as TGI tells them, read from llama.cpp's events."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from inference.engine.base import Vocabulary
from inference.engine.text import Joiner, split_fragments


@dataclass(frozen=True)
class Token:
    """One generated token.

    `logprob` is None for the leading byte tokens of a character, which llama.cpp does not report.
    `width` is how many tokens it stands for: more than one only if their ids could not be told apart.
    """

    id: int
    text: str
    logprob: float | None
    special: bool
    ends: bool = False
    width: int = 1
    top: tuple["Token", ...] = field(default=())

    def body(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text, "logprob": self.logprob, "special": self.special}


class TokenReader:
    """Turns the events of one `/completion` stream into tokens."""

    def __init__(self, vocabulary: Vocabulary, top_n: int) -> None:
        self._vocabulary, self._top_n = vocabulary, top_n
        self._joiner = Joiner()
        self._told = 0

    def read(self, event: dict[str, Any]) -> Iterator[Token]:
        """Yield the tokens of one event: none for the closing one."""
        for entry in event.get("completion_probabilities", ()):
            count = int(event["tokens_predicted"]) - self._told
            self._told += count
            yield from self._tokens(entry, count)

    def _tokens(self, entry: dict[str, Any], count: int) -> Iterator[Token]:
        i, raw = int(entry["id"]), bytes(entry["bytes"])
        if i in self._vocabulary.special:
            yield self._special(entry)
            return
        ids = split_fragments(raw, count, i, self._vocabulary.fragments) if count > 1 else None
        for leading in (ids or [])[:-1]:
            piece = self._vocabulary.fragments[leading]
            raw = raw[len(piece) :]
            yield Token(leading, self._joiner.push(piece), None, special=False)
        yield Token(
            id=i,
            text=self._joiner.push(raw),
            logprob=entry["logprob"],
            special=False,
            width=1 if ids else count,
            top=self._top(entry),
        )

    def _special(self, entry: dict[str, Any]) -> Token:
        i = int(entry["id"])
        ends = i in self._vocabulary.end_ids
        text = self._vocabulary.special[i]
        return Token(i, text, entry["logprob"], special=True, ends=ends, top=self._top(entry))

    def _top(self, entry: dict[str, Any]) -> tuple[Token, ...]:
        special = self._vocabulary.special
        return tuple(
            Token(
                id=one["id"],
                text=special.get(one["id"]) or bytes(one["bytes"]).decode("utf-8", "replace"),
                logprob=one["logprob"],
                special=one["id"] in special,
            )
            for one in entry.get("top_logprobs", ())[: self._top_n]
        )
