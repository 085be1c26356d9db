"""The console's types come from `frontend/openapi.json`, and that file from the code as it is now."""

import json
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

DESCRIPTION = Path(__file__).resolve().parents[2] / "frontend" / "openapi.json"


def described_by_the_code() -> dict[str, Any]:
    """What the views and serializers say of themselves, as it would be written to the file."""
    GENERATOR_STATS.reset()
    generate: Any = SchemaGenerator
    schema = generate().get_schema(request=None, public=True)
    described: dict[str, Any] = json.loads(OpenApiJsonRenderer().render(schema, renderer_context={}))
    return described


def names_of(description: dict[str, Any]) -> dict[str, Any]:
    """Every operation and every shape by its name."""
    shapes: dict[str, Any] = description["components"]["schemas"]
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }
    return operations | shapes


def test_the_api_description_is_what_the_code_says() -> None:
    written, now = json.loads(DESCRIPTION.read_text()), described_by_the_code()
    before, after = names_of(written), names_of(now)
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    assert written == now, f"frontend/openapi.json is not current; run `make api`. Changed: {changed}"


def test_every_view_describes_itself_without_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    described_by_the_code()
    assert capsys.readouterr().err == ""
