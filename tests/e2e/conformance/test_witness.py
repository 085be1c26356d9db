"""What the clients' stories rest on: that an answer which is not as published is noticed."""

import json
from typing import Any

import jsonschema
import pytest

from tests.e2e.conformance.witness import Answer, Witness

CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "support",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": None, "finish_reason": None}],
}
TEXT = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "support"}
PIECE = {"index": 0, "text": "Hi", "logprobs": None, "finish_reason": None}
TOKEN = {"id": 1, "text": "Hi", "logprob": -0.5, "special": False}
OPENAIS_FAULT = {"error": {"message": "No.", "type": "x", "param": None, "code": None}}
TGIS_FAULT = {"error": "No.", "error_type": "validation"}


def heard(path: str, document: Any, *, streamed: bool = False, status: int = 200) -> list[str]:
    """The schemas of an answer that consists of this document."""
    witness, written = Witness(None), json.dumps(document).encode()
    body = b"data: %b\n\ndata: [DONE]\n\n" % written if streamed else written
    witness.answers.append(Answer(path, status, streamed, True, bytearray(body)))
    return list(witness.check())


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("path", "document", "schema"),
    [
        ("/v1/chat/completions", CHUNK, "CreateChatCompletionStreamResponse"),
        ("/tgi/support/v1/chat/completions", CHUNK, "CreateChatCompletionStreamResponse"),
        ("/v1/completions", TEXT | {"choices": [PIECE], "usage": None}, "CreateCompletionResponse"),
        (
            "/tgi/support/generate_stream",
            {"index": 1, "token": TOKEN, "generated_text": None, "details": None},
            "StreamResponse",
        ),
        ("/v1/completions", OPENAIS_FAULT, "ErrorResponse"),
        ("/tgi/support", TGIS_FAULT, "ErrorResponse"),
    ],
)
def test_an_event_is_held_to_its_schema(path: str, document: dict[str, Any], schema: str) -> None:
    assert heard(path, document, streamed=True) == [schema]
    for required in ("choices", "token", "error"):
        if required in document:
            with pytest.raises((jsonschema.ValidationError, KeyError)):
                heard(path, without(document, required), streamed=True)


def test_a_whole_answer_and_a_refusal_are_held_to_theirs() -> None:
    assert heard("/tgi/support", [{"generated_text": "Hi"}]) == ["GenerateResponse"]
    assert heard("/v1/models/support", OPENAIS_FAULT, status=404) == ["ErrorResponse"]
    with pytest.raises(jsonschema.ValidationError):
        heard("/tgi/support/v1/completions", OPENAIS_FAULT, status=422)
    with pytest.raises(jsonschema.ValidationError):
        heard("/v1/models", TGIS_FAULT, status=401)


def test_an_answer_whose_client_left_is_read_as_far_as_it_came() -> None:
    witness = Witness(None)
    cut = b'data: %b\n\ndata: {"id"' % json.dumps(CHUNK).encode()
    witness.answers.append(Answer("/v1/chat/completions", 200, True, False, bytearray(cut)))
    assert witness.check().total() == 1
    assert witness.answers == []
