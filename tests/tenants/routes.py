"""Every address and method of the REST surfaces, and which permission each says that it needs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission

METHODS = ("get", "post", "put", "patch", "delete")
PLACE = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """One method of one address; `address` has its variables as `{name}`."""

    address: str
    method: str
    view: type[Endpoint]

    @property
    def permission(self) -> Permission:
        return self.view.permission_for(self.method.upper())

    @property
    def variables(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.address)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.address}"


def every_route() -> list[Route]:
    """All of them, in the order of their addresses."""
    found = [
        Route("/" + PLACE.sub(r"{\1}", pattern), method, view)
        for pattern, view in _endpoints(get_resolver().url_patterns)
        for method in METHODS
        if hasattr(view, method)
    ]
    return sorted(found, key=lambda route: (route.address, METHODS.index(route.method)))


def _endpoints(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, type[Endpoint]]]:
    for pattern in patterns:
        here = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _endpoints(pattern.url_patterns, here)
        elif (view := _view_of(pattern.callback)) is not None:
            yield here, view


def _view_of(callback: Any) -> type[Endpoint] | None:
    view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    return view if view is not None and issubclass(view, Endpoint) else None
