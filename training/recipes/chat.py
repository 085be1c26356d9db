"""Conversations as token ids, in the model's own chat template, and which of them are learned."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tokenizers

from training.recipes.faults import Refused, rows_in_words
from training.recipes.rows import Message, Row

_OPEN, _CLOSE = "\ue000", "\ue001"


class TemplateUnsupported(Exception):
    """The chat template rewrites what was said, or does not mark the end of an assistant's turn."""


@dataclass(frozen=True)
class EncodedRow:
    """Token ids of one row and, for each, whether the model learns to produce it."""

    number: int
    token_ids: tuple[int, ...]
    trained: tuple[bool, ...]

    @property
    def trained_tokens(self) -> int:
        """How many tokens of this row are learned."""
        return sum(self.trained)


@dataclass(frozen=True)
class _Piece:
    """A stretch of the rendered conversation: a control token, or text with none in it."""

    text: str
    control: bool
    trained: bool


class ChatEncoder:
    """Encodes conversations for one tokenizer (a Hugging Face fast tokenizer with a chat template)."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # A copy, told to read control tokens as plain text: what people typed never becomes control.
        self._plain = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._plain.encode_special_tokens = True
        self._plain.no_truncation()
        self._plain.no_padding()
        self._controls = {
            token.content: token_id
            for token_id, token in tokenizer.added_tokens_decoder.items()
            if token.special
        }
        longest_first = sorted(self._controls, key=len, reverse=True)
        self._control_pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    def encode(self, row: Row) -> EncodedRow:
        """Return the row's tokens; learned are each trained turn's content and the end-of-turn after it.

        Equal to tokenizing the rendered text, but that control tokens inside contents stay plain text
        and that a trained turn's content begins with a token of its own, as it does when generated.
        Raises `TemplateUnsupported`.
        """
        token_ids: list[int] = []
        trained: list[bool] = []
        pieces = list(_join(self._pieces(row.messages)))
        texts = [piece.text for piece in pieces if not piece.control]
        encodings = iter(self._plain.encode_batch(texts, add_special_tokens=False))
        for piece in pieces:
            ids = [self._controls[piece.text]] if piece.control else next(encodings).ids
            token_ids += ids
            trained += [piece.trained] * len(ids)
        return EncodedRow(row.number, tuple(token_ids), tuple(trained))

    def _pieces(self, messages: Sequence[Message]) -> Iterator[_Piece]:
        literals, contents = self._rendered(messages)
        yield from self._literal(literals[0], end_of_turn=False)
        for message, content, literal in zip(messages, contents, literals[1:], strict=True):
            yield _Piece(content, control=False, trained=message.trained)
            yield from self._literal(literal, end_of_turn=message.trained)

    def _literal(self, text: str, *, end_of_turn: bool) -> Iterator[_Piece]:
        parts = [part for part in self._control_pattern.split(text) if part]
        if end_of_turn and (not parts or parts[0] not in self._controls):
            raise TemplateUnsupported(
                "The chat template puts no end-of-turn token right after an assistant's turn, "
                "so the model would never learn to stop."
            )
        for index, part in enumerate(parts):
            yield _Piece(part, control=part in self._controls, trained=end_of_turn and index == 0)

    def _rendered(self, messages: Sequence[Message]) -> tuple[list[str], list[str]]:
        """Return what the template writes around the contents, and the contents as it writes them."""
        marks = [f"{_OPEN}{index}{_CLOSE}" for index in range(len(messages))]
        literals = re.split(f"{_OPEN}[0-9]+{_CLOSE}", self._render(messages, marks))
        contents = [message.content for message in messages]
        for candidate in (contents, [content.strip() for content in contents]):
            if len(literals) == len(marks) + 1 and self._render(messages, contents) == _woven(
                literals, candidate
            ):
                return literals, candidate
        raise TemplateUnsupported("The chat template rewrites the contents of messages.")

    def _render(self, messages: Sequence[Message], contents: Iterable[str]) -> str:
        turns = [
            {"role": message.role, "content": content}
            for message, content in zip(messages, contents, strict=True)
        ]
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False))


def encode_rows(rows: Iterable[Row], encoder: ChatEncoder, *, max_tokens: int) -> list[EncodedRow]:
    """Encode every row, or raise `Refused` naming every row that cannot be learned as it is.

    Codes: `row_too_long` (nothing is ever truncated), `row_without_training` (no assistant turn with a
    weight), `template_unsupported`.
    """
    try:
        encoded = [encoder.encode(row) for row in rows]
    except TemplateUnsupported as fault:
        raise Refused("template_unsupported", str(fault)) from fault
    too_long = [row.number for row in encoded if len(row.token_ids) > max_tokens]
    if too_long:
        longest = max(len(row.token_ids) for row in encoded)
        message = (
            f"{rows_in_words(too_long)} longer than max_tokens={max_tokens} (the longest: {longest}). "
            "Nothing is truncated: raise max_tokens, or shorten or remove these rows."
        )
        raise Refused("row_too_long", message, too_long)
    untrained = [row.number for row in encoded if not row.trained_tokens]
    if untrained:
        message = f"{rows_in_words(untrained)} with nothing to learn: no assistant message with weight 1."
        raise Refused("row_without_training", message, untrained)
    return encoded


def _join(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Join neighbouring untrained texts: they are tokenized together, as the engine does."""
    waiting = ""
    for piece in pieces:
        if not piece.control and not piece.trained:
            waiting += piece.text
            continue
        if waiting:
            yield _Piece(waiting, control=False, trained=False)
            waiting = ""
        if piece.text:
            yield piece
    if waiting:
        yield _Piece(waiting, control=False, trained=False)


def _woven(literals: Sequence[str], contents: Sequence[str]) -> str:
    pairs = zip(contents, literals[1:], strict=True)
    return literals[0] + "".join(content + literal for content, literal in pairs)
