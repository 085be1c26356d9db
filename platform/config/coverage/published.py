"""The operations that OpenAI publishes, and which of them this platform serves."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.gateway import description

_METHODS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"\{[^}]+\}")
OPERATIONS = Path(__file__).with_name("openai-operations.txt")
DESCRIPTION = Path(__file__).parents[3] / "frontend" / "openapi.json"


@dataclass(frozen=True)
class Operation:
    """One operation of an API: the method in capitals, the path with `{…}` for parameters."""

    method: str
    path: str

    @property
    def place(self) -> tuple[str, str]:
        """The same for every naming of its parameters."""
        return self.method, _PARAMETER.sub("{}", self.path.rstrip("/"))


def operations_in(specification: Mapping[str, Any]) -> list[Operation]:
    """The operations of an OpenAPI document, by path. What differs in a query only is the same operation."""
    found = {
        Operation(method.upper(), path)
        for path, methods in specification["paths"].items()
        for method in methods
        if method in _METHODS and "?" not in path
    }
    return sorted(found, key=lambda one: (one.path, one.method))


def published() -> list[Operation]:
    """Those of OpenAI's specification, from our list of them; paths begin with `/v1`."""
    lines = OPERATIONS.read_text().splitlines()
    return [Operation(*line.split(" ", 1)) for line in lines if not line.startswith("#")]


def listing(specification: Mapping[str, Any]) -> str:
    """The list of OpenAI's operations, as it is kept."""
    version = specification["info"]["version"]
    lines = [f"{one.method} /v1{one.path}" for one in operations_in(specification)]
    return "\n".join([f"# OpenAI API {version}", *lines]) + "\n"


def served() -> frozenset[tuple[str, str]]:
    """The places of what the control plane describes of itself, and of the data plane."""
    own: Iterable[Operation] = operations_in(json.loads(DESCRIPTION.read_text()))
    gateway = operations_in({"paths": description.paths()})
    return frozenset(one.place for one in (*own, *gateway))
