"""The serving snapshot's entries, read once per change into frozen objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from inference.backends.interface import BackendAddress
from inference.gateway.contract import Principal

READY = "lw:snapshot:ready"
CHANGED = "lw:snapshot:changed"
KEY_PREFIX = "lw:snapshot:key:"
PROJECT_PREFIX = "lw:snapshot:project:"


class UnreadableEntry(Exception):
    """The control plane published something this build does not understand."""


@dataclass(frozen=True)
class KeyEntry:
    """An API key. `expires_at` is in Unix seconds."""

    principal: Principal
    expires_at: float | None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One alias of a project and what stands behind it."""

    alias: str
    deployment_id: str
    model_version_id: str
    created_at: int
    state: str
    digest: str
    adapter_id: str | None
    backend: BackendAddress
    chat_template: str
    bos_token: str
    eos_token: str
    context_tokens: int
    default_max_tokens: int | None
    special_tokens: tuple[str, ...] = ()
    adds_bos: bool = False

    @property
    def served_as(self) -> str:
        """The name under which the pod must say that it answered."""
        return self.adapter_id or f"base-{self.digest}"


@dataclass(frozen=True)
class ProjectEntry:
    """A project's deployments by alias."""

    organization_id: str
    project_id: str
    deployments: Mapping[str, Deployment]


Entry = KeyEntry | ProjectEntry


def read_entry(name: str, value: bytes | str) -> Entry:
    """Parse the value of a snapshot key. Raises `UnreadableEntry`."""
    try:
        document = orjson.loads(value)
        return _key(document) if name.startswith(KEY_PREFIX) else _project(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableEntry(f"{name}: {type(error).__name__}") from error


def _key(document: dict[str, Any]) -> KeyEntry:
    principal = Principal(
        organization_id=str(document["organization_id"]),
        project_id=str(document["project_id"]),
        key_id=str(document["key_id"]),
        user_id=None,
        permissions=frozenset(document["permissions"]),
    )
    expires_at = document.get("expires_at")
    return KeyEntry(principal, None if expires_at is None else float(expires_at))


def _project(document: dict[str, Any]) -> ProjectEntry:
    deployments = {one["alias"]: _deployment(one) for one in document["deployments"]}
    return ProjectEntry(str(document["organization_id"]), str(document["project_id"]), deployments)


def _deployment(document: dict[str, Any]) -> Deployment:
    backend = document["backend"]
    address = BackendAddress(backend["kind"], backend["url"], frozenset(backend.get("features") or ()))
    default_max_tokens = document.get("default_max_tokens")
    return Deployment(
        alias=document["alias"],
        deployment_id=str(document["deployment_id"]),
        model_version_id=str(document["model_version_id"]),
        created_at=int(document["created_at"]),
        state=document["state"],
        digest=document["digest"],
        adapter_id=document["adapter_id"],
        backend=address,
        chat_template=document["chat_template"],
        bos_token=document.get("bos_token") or "",
        eos_token=document.get("eos_token") or "",
        context_tokens=int(document["context_tokens"]),
        default_max_tokens=None if default_max_tokens is None else int(default_max_tokens),
        special_tokens=tuple(document.get("special_tokens") or ()),
        adds_bos=bool(document.get("adds_bos", False)),
    )
