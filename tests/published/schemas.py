"""Two published specifications, cut down to the schemas of what is answered here, and whether an answer fits.

`python -m tests.published.schemas FOLDER` makes the copies anew from OpenAI's `openai-openapi.json` (MIT) and
Text Generation Inference's `tgi-openapi.json` (Apache-2.0).
"""

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

HERE = Path(__file__).parent
# The specifications, and the schemas of which each copy has all that they stand on.
ROOTS: dict[str, tuple[str, ...]] = {
    "openai": (
        "CreateChatCompletionResponse",
        "CreateChatCompletionStreamResponse",
        "CreateCompletionResponse",
        "CreateEmbeddingResponse",
        "CreateModerationResponse",
        "DeleteModelResponse",
        "ErrorResponse",
        "ImagesResponse",
        "ListModelsResponse",
        "Model",
        "Response",
        "ResponseItemList",
        "ResponseStreamEvent",
    ),
    "tgi": (
        "ChatTokenizeResponse",
        "ErrorResponse",
        "GenerateResponse",
        "Info",
        "StreamResponse",
        "TokenizeResponse",
    ),
}
# What says nothing of whether a document is valid.
_WORDS = {"description", "example", "examples", "title", "externalDocs"}
_NAMED = {"properties", "patternProperties", "$defs"}


def copy_of(name: str) -> Path:
    """Where the copy lies."""
    return HERE / f"{name}-schemas.json"


def cut(specification: dict[str, Any], name: str) -> str:
    """The copy: as JSON, one schema a line."""
    every, needed, ahead = specification["components"]["schemas"], {}, list(ROOTS[name])
    while ahead:
        schema = ahead.pop()
        if schema not in needed:
            needed[schema] = _bare(every[schema])
            ahead += _references(needed[schema])
    lines = [f"{json.dumps(schema)}: {json.dumps(needed[schema])}" for schema in sorted(needed)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _bare(node: Any, *, names: bool = False) -> Any:
    """Without prose and extensions. Where it says OpenAPI 3.0's `nullable`, null is valid as well."""
    if isinstance(node, list):
        return [_bare(one) for one in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {name: _bare(value) for name, value in node.items()}
    kept = {name: value for name, value in node.items() if name not in _WORDS and not name.startswith("x-")}
    nullable = kept.pop("nullable", False)
    told = {name: _bare(value, names=name in _NAMED) for name, value in kept.items()}
    return {"anyOf": [told, {"type": "null"}]} if nullable else told


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _references(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from _references(value)


@cache
def schemas(name: str) -> dict[str, Any]:
    """The schemas of a copy by their names."""
    found: dict[str, Any] = json.loads(copy_of(name).read_text())
    return found


@cache
def _validator(name: str, schema: str) -> jsonschema.Draft202012Validator:
    root = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas(name)}}
    return jsonschema.Draft202012Validator(root)


def fits(name: str, schema: str, document: object) -> None:
    """Raise `jsonschema.ValidationError` unless the document is what the specification says."""
    _validator(name, schema).validate(document)


@cache
def event_schemas() -> dict[str, str]:
    """The schema of each event of a stream of responses, by the event's `type`."""
    known = schemas("openai")
    names = (one["$ref"].rpartition("/")[2] for one in known["ResponseStreamEvent"]["anyOf"])
    return {kind: name for name in names for kind in known[name]["properties"]["type"].get("enum", ())}


if __name__ == "__main__":
    for specification in ROOTS:
        published = json.loads((Path(sys.argv[1]) / f"{specification}-openapi.json").read_bytes())
        copy_of(specification).write_text(cut(published, specification))
