"""Reading the chunks of a streamed completion: text, log probabilities, counts."""

from collections.abc import Iterator
from typing import Any

from inference.backends.faults import Broken
from inference.backends.interface import Alternative, EndReason, Piece

_REASONS: dict[str, EndReason] = {
    "stop": "eos_token",
    "eos_token": "eos_token",
    "stop_sequence": "stop_sequence",
    "length": "length",
}
_Scored = tuple[str, float, tuple[Alternative, ...]]


def reason_of(choice: dict[str, Any]) -> EndReason | None:
    """Why the choice ended; None while it goes on. Raises `Broken` for an end that is a failure.

    TGI says the empty string while it goes on; vLLM and SGLang name the stop sequence beside the reason.
    """
    said = choice.get("finish_reason")
    if not said:
        return None
    reason = _REASONS.get(said)
    if reason is None:
        raise Broken(f"The model server ended the generation with the reason {str(said)[:40]!r}.")
    matched = choice.get("stop_reason", choice.get("matched_stop"))
    return "stop_sequence" if isinstance(matched, str) else reason


def pieces_of(choice: dict[str, Any], *, counted: int | None) -> list[Piece]:
    """The tokens of a chunk; `counted` is how many they are, where the server counts as it goes.

    With log probabilities there is a piece for each token. Without them it is one for all; a server that does
    not count is taken to send one token a chunk, which the final usage corrects.
    """
    text = choice["text"]
    if not isinstance(text, str):
        raise TypeError
    scored = list(_scored(choice.get("logprobs")))
    if scored:
        return _each(text, scored, counted, ends=reason_of(choice) == "eos_token")
    if counted is None:
        counted = 1 if text or not choice.get("finish_reason") else 0
    # TGI sends the text of the end token too.
    special = choice.get("finish_reason") == "eos_token"
    return [Piece(text, special, None, tokens=counted)] if text or counted else []


def _each(text: str, scored: list[_Scored], counted: int | None, *, ends: bool) -> list[Piece]:
    """A piece a token. Where the tokens' texts are not the chunk's, its text comes with the last of them.

    The token that ended the answer has a log probability, but its text is not the answer's.
    """
    ending = scored.pop() if ends and not (scored[-1][0] and text.endswith(scored[-1][0])) else None
    texts = [token for token, _, _ in scored]
    if "".join(texts) != text:
        texts = [*[""] * (len(scored) - 1), text]
    pieces = [Piece(shown, False, one[1], one[2]) for shown, one in zip(texts, scored, strict=False)]
    if len(texts) > len(scored):
        # Text held back until the end; its tokens came before.
        pieces.append(Piece(text, False, None, tokens=0))
    if ending is not None:
        pieces.append(Piece("", True, ending[1]))
    surplus = (counted or 0) - sum(piece.tokens for piece in pieces)
    return [*pieces, Piece("", True, None, tokens=surplus)] if counted is not None and surplus else pieces


def _scored(logprobs: Any) -> Iterator[_Scored]:
    """Token, log probability and alternatives, from OpenAI's older form or from that of chat."""
    if not logprobs:
        return
    if "content" in logprobs:
        for one in logprobs["content"] or ():
            top = tuple(
                Alternative(str(other["token"]), float(other["logprob"]))
                for other in one.get("top_logprobs") or ()
            )
            yield str(one["token"]), float(one["logprob"]), top
        return
    tops = logprobs.get("top_logprobs") or [None] * len(logprobs["tokens"])
    for token, logprob, top in zip(logprobs["tokens"], logprobs["token_logprobs"], tops, strict=True):
        alternatives = tuple(Alternative(str(other), float(value)) for other, value in (top or {}).items())
        yield str(token), float(logprob), alternatives
