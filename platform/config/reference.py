"""The API reference: what both planes describe of themselves, as one document and as a page to try it on."""

import json
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

from config import pages
from inference.gateway import description as gateway

_INTRODUCTION = (
    "Requests to models need an API key: press Authorize and paste one. All else can be tried as whoever is "
    "signed in, too. What is sent from here is done for real."
)
_PASTE = "An API key of yours. It is kept on this page only, until you leave it."
_KEY: dict[str, list[str]] = {"apiKey": []}
# A page of another origin may read it: it says nothing of anybody.
_OPEN = {"Access-Control-Allow-Origin": "*"}


@require_GET
def api_reference(request: HttpRequest) -> HttpResponse:
    """The page, for whoever is signed in."""
    return pages.for_members(request, "reference.html")


@require_GET
def document(request: HttpRequest) -> HttpResponse:
    """Both planes in OpenAPI 3.0, for people's own tools too."""
    return HttpResponse(_rendered(), content_type="application/json", headers=_OPEN)


def described() -> dict[str, Any]:
    """The control plane's description with the gateway's before it."""
    generate: Any = SchemaGenerator
    schema = generate().get_schema(request=None, public=True)
    control: dict[str, Any] = json.loads(OpenApiJsonRenderer().render(schema, renderer_context={}))
    for operations in control["paths"].values():
        for operation in operations.values():
            operation["security"] = [_KEY, {}] if _takes_keys(operation) else []
    of_gateway = gateway.paths()
    for operations in of_gateway.values():
        for operation in operations.values():
            operation["security"] = [_KEY]
    schemes = {"apiKey": {**control["components"]["securitySchemes"]["apiKey"], "description": _PASTE}}
    return {
        **control,
        "info": {**control["info"], "description": _INTRODUCTION},
        "paths": {**of_gateway, **control["paths"]},
        "components": {**control["components"], "securitySchemes": schemes},
        "tags": [{"name": name, "description": text} for name, text in gateway.TAGS.items()],
    }


def _takes_keys(operation: dict[str, Any]) -> bool:
    return any("apiKey" in one for one in operation.get("security", ()))


@lru_cache(maxsize=1)
def _rendered() -> bytes:
    """Made once in a process: it takes seconds."""
    return json.dumps(described()).encode()
