"""An answer as the model server gave it, kept as sealed bytes.

An entry, byte by byte: format version (1), nonce (12), ciphertext of AES-256-GCM, tag (16). The version and
the entry's name are authenticated. The plaintext begins with how it is packed (0 plain, 1 zlib), then JSON.
"""

import os
import zlib
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag

from inference.backends.interface import Alternative, End, Piece
from inference.gateway.cache.secret import CacheKeys

_VERSION = b"\x01"
_NONCE_BYTES = 12
_PLAIN, _PACKED = b"\x00", b"\x01"
_WORTH_PACKING_BYTES = 256
_PROMPT_TOKENS_PER_ANSWER_TOKEN = 8


class Unreadable(Exception):
    """The entry is not one that was put there. The text is a kind of fault, never content."""


@dataclass(frozen=True)
class Recording:
    """All events of a complete generation. `made_at` is in Unix seconds."""

    pieces: tuple[Piece, ...]
    end: End
    made_at: int

    @property
    def tokens_saved(self) -> float:
        """What giving it again saves, in generated tokens: a prompt's tokens are read many at a time."""
        return self.end.completion_tokens + self.end.prompt_tokens / _PROMPT_TOKENS_PER_ANSWER_TOKEN


def sealed(recording: Recording, keys: CacheKeys, name: bytes) -> bytes:
    """The entry's bytes; they open under this name and these keys only."""
    plain = orjson.dumps(_columns(recording))
    packed = zlib.compress(plain, 1) if len(plain) >= _WORTH_PACKING_BYTES else plain
    content = _PACKED + packed if len(packed) < len(plain) else _PLAIN + plain
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + keys.cipher.encrypt(nonce, content, _VERSION + name)


def opened(entry: bytes, keys: CacheKeys, name: bytes) -> Recording:
    """The recording in an entry. Raises `Unreadable` for whatever was cut, altered, or put elsewhere."""
    if entry[:1] != _VERSION:
        raise Unreadable("version")
    nonce = entry[1 : 1 + _NONCE_BYTES]
    try:
        content = keys.cipher.decrypt(nonce, entry[1 + _NONCE_BYTES :], _VERSION + name)
    except (InvalidTag, ValueError):
        raise Unreadable("seal") from None
    try:
        plain = zlib.decompress(content[1:]) if content[:1] == _PACKED else content[1:]
        return _recording(orjson.loads(plain))
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise Unreadable(type(error).__name__) from None


def _columns(recording: Recording) -> dict[str, Any]:
    pieces, end = recording.pieces, recording.end
    return {
        "made_at": recording.made_at,
        "end": [end.reason, end.prompt_tokens, end.completion_tokens],
        "text": [piece.text for piece in pieces],
        "logprob": [piece.logprob for piece in pieces],
        "id": [piece.id for piece in pieces],
        "special": [place for place, piece in enumerate(pieces) if piece.special],
        "last": [place for place, piece in enumerate(pieces) if piece.last],
        "tokens": {str(place): piece.tokens for place, piece in enumerate(pieces) if piece.tokens != 1},
        "top": {
            str(place): [tuple(one) for one in piece.top] for place, piece in enumerate(pieces) if piece.top
        },
    }


def _recording(columns: dict[str, Any]) -> Recording:
    special, last, top = frozenset(columns["special"]), frozenset(columns["last"]), columns["top"]
    tokens = columns["tokens"]
    rows = enumerate(zip(columns["text"], columns["logprob"], columns["id"], strict=True))
    made = tuple(
        Piece(
            text,
            place in special,
            logprob,
            _alternatives(top.get(str(place))),
            token_id,
            place in last,
            tokens.get(str(place), 1),
        )
        for place, (text, logprob, token_id) in rows
    )
    return Recording(made, End(*columns["end"]), int(columns["made_at"]))


def _alternatives(top: list[list[Any]] | None) -> tuple[Alternative, ...]:
    return tuple(Alternative(*one) for one in top) if top else ()
