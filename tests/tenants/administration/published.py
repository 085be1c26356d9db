"""OpenAI's published specification, and whether an answer is what it says."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference" / "openai-openapi.json"


@cache
def components() -> Any:
    """The schemas; None where the specification does not lie beside the checkout."""
    return json.loads(REFERENCE.read_text())["components"] if REFERENCE.is_file() else None


def conforms(schema: str, body: Any) -> Any:
    """Fail unless the body is valid against the schema of this name; gives the body back."""
    if (known := components()) is not None:
        rules = {"$ref": f"#/components/schemas/{schema}", "components": known}
        jsonschema.Draft202012Validator(rules).validate(body)
    return body
