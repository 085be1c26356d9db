"""The serving snapshot's entries, read once per change into frozen objects."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
import structlog

from inference.backends.directory import abilities_of
from inference.backends.interface import BackendAddress
from inference.gateway.admission.bounds import LimitsEntry, PricesEntry, read_limits, read_prices
from inference.gateway.contract import Principal
from inference.gateway.faults import InvalidRequest
from inference.gateway.policy.document import OPEN, Policy
from inference.gateway.policy.sealed import open_policy
from kernel.addresses import Network, network
from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.values import KeyEncryptionKey

READY = "lw:snapshot:ready"
CHANGED = "lw:snapshot:changed"
KEY_PREFIX = "lw:snapshot:key:"
PROJECT_PREFIX = "lw:snapshot:project:"
LIMITS_PREFIX = "lw:snapshot:limits:"
PRICES = "lw:snapshot:prices"
CACHE_PREFIX = "lw:snapshot:cache:"
# The state, in the words of the refusal, of a deployment whose policy this build cannot read.
NO_POLICY = "without a policy that can be read"

log = structlog.get_logger("inference.gateway")


class UnreadableEntry(Exception):
    """The control plane published something this build does not understand."""


@dataclass(frozen=True)
class Refusal:
    """Why nothing may be done, in the control plane's words."""

    code: str
    message: str
    status: int = 403


@dataclass(frozen=True, kw_only=True)
class KeyEntry:
    """One secret of an API key. `expires_at` is in Unix seconds.

    `projects` maps each project in which the key works to what it may do there now; its own is
    `project_id`. Empty `models` and `networks` restrict nothing.
    """

    key_id: str
    organization_id: str
    project_id: str
    projects: Mapping[str, frozenset[str]]
    models: frozenset[str]
    networks: tuple[Network, ...]
    expires_at: float | None
    refusal: Refusal | None
    maker_id: str | None = None

    @cached_property
    def principals(self) -> Mapping[str, Principal]:
        """The key as the one who asks, in each of its projects."""
        return {
            project_id: Principal(
                organization_id=self.organization_id,
                project_id=project_id,
                key_id=self.key_id,
                user_id=None,
                permissions=permissions,
                models=self.models,
                maker_id=self.maker_id,
            )
            for project_id, permissions in self.projects.items()
        }


@dataclass(frozen=True)
class FimTemplate:
    """The markers around what stands before the gap, after it, and where the answer begins."""

    prefix: str
    suffix: str
    middle: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One alias of a project and what stands behind it; `backends` are the servers of its replicas."""

    alias: str
    deployment_id: str
    model_version_id: str
    created_at: int
    state: str
    digest: str
    adapter_id: str | None
    backends: tuple[BackendAddress, ...]
    chat_template: str
    bos_token: str
    eos_token: str
    context_tokens: int
    default_max_tokens: int | None
    special_tokens: tuple[str, ...] = ()
    adds_bos: bool = False
    base_model: str = ""
    restricted: bool = False
    fim_template: FimTemplate | None = None
    caches: bool = True
    policy: Policy = OPEN

    @cached_property
    def features(self) -> frozenset[str]:
        """What every one of its servers can: any of them may get the request."""
        return frozenset.intersection(*(abilities_of(one) for one in self.backends))

    @cached_property
    def served_as(self) -> str:
        """The name under which the pod must say that it answered."""
        return self.adapter_id or f"base-{self.digest}"

    def is_for(self, principal: Principal) -> bool:
        """Whether the caller may know of it: one kept to some members is nothing to a program's key.

        For a member the control plane has looked before it asks.
        """
        return not (self.restricted and principal.key_id is not None)


@dataclass(frozen=True)
class ProjectEntry:
    """A project's deployments by alias, and which aliases it may use: only those listed, or all but those.

    `stores_responses`: its data retention lets responses be kept.
    """

    organization_id: str
    project_id: str
    deployments: Mapping[str, Deployment]
    refusal: Refusal | None = None
    listed: frozenset[str] | None = None
    denies_listed: bool = False
    stores_responses: bool = False

    def allows(self, model: str) -> bool:
        """Whether the project may use a model of this name, were there one."""
        return self.listed is None or (model in self.listed) != self.denies_listed

    def deployment_for(self, principal: Principal, model: str) -> Deployment | None:
        """What stands behind the alias, as far as the caller may know of it."""
        found = self.deployments.get(model)
        return found if found is not None and found.is_for(principal) else None

    def deployments_for(self, principal: Principal) -> list[Deployment]:
        """All of which the caller may know."""
        return [one for one in self.deployments.values() if one.is_for(principal)]


@dataclass(frozen=True)
class CacheEntry:
    """An organization's cache secret, sealed for the gateways. A new generation empties the cache."""

    organization_id: str
    generation: int
    sealed: bytes


Entry = KeyEntry | ProjectEntry | LimitsEntry | PricesEntry | CacheEntry


def read_entry(name: str, value: bytes | str, policies: KeyEncryptionKey | None = None) -> Entry:
    """Parse the value of a snapshot key; `policies` is the key that opens those of deployments,
    without which a deployment that has one cannot be used.

    Raises `UnreadableEntry`.
    """
    try:
        document = orjson.loads(value)
        if name.startswith(LIMITS_PREFIX):
            return read_limits(document)
        if name == PRICES:
            return read_prices(document)
        if name.startswith(CACHE_PREFIX):
            return _cache(document)
        return _key(document) if name.startswith(KEY_PREFIX) else _project(document, policies)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableEntry(f"{name}: {type(error).__name__}") from error


def _key(document: dict[str, Any]) -> KeyEntry:
    own, expires_at = str(document["project_id"]), document.get("expires_at")
    further = {str(name): frozenset(held) for name, held in (document.get("projects") or {}).items()}
    return KeyEntry(
        key_id=str(document["key_id"]),
        organization_id=str(document["organization_id"]),
        project_id=own,
        projects={**further, own: frozenset(document["permissions"])},
        models=frozenset(document.get("models") or ()),
        networks=tuple(network(text) for text in document.get("networks") or ()),
        expires_at=None if expires_at is None else float(expires_at),
        refusal=_refusal(document),
        maker_id=str(document["maker_id"]) if document.get("maker_id") else None,
    )


def _project(document: dict[str, Any], policies: KeyEncryptionKey | None) -> ProjectEntry:
    listed = document.get("models")
    owner = str(document["organization_id"])
    deployments = [_deployment(one, _policy(one, owner, policies)) for one in document["deployments"]]
    return ProjectEntry(
        organization_id=owner,
        project_id=str(document["project_id"]),
        deployments={one.alias: one for one in deployments},
        refusal=_refusal(document),
        listed=None if listed is None else frozenset(listed["model_ids"]),
        denies_listed=listed is not None and listed["mode"] == "deny_list",
        stores_responses=bool(document.get("stores_responses", False)),
    )


def _cache(document: dict[str, Any]) -> CacheEntry:
    sealed = base64.b64decode(document["sealed"], validate=True)
    return CacheEntry(str(document["organization_id"]), int(document["generation"]), sealed)


def _refusal(document: dict[str, Any]) -> Refusal | None:
    refusal = document.get("refusal")
    if not refusal:
        return None
    return Refusal(str(refusal["code"]), str(refusal["message"]), int(refusal.get("status", 403)))


def _deployment(document: dict[str, Any], policy: Policy | None) -> Deployment:
    longest = (policy or OPEN).max_answer_tokens
    return Deployment(
        alias=document["alias"],
        deployment_id=str(document["deployment_id"]),
        model_version_id=str(document["model_version_id"]),
        created_at=int(document["created_at"]),
        state=document["state"] if policy is not None else NO_POLICY,
        digest=document["digest"],
        adapter_id=document["adapter_id"],
        backends=_backends(document["backends"]),
        chat_template=document["chat_template"],
        bos_token=document.get("bos_token") or "",
        eos_token=document.get("eos_token") or "",
        context_tokens=int(document["context_tokens"]),
        default_max_tokens=_least(document.get("default_max_tokens"), longest),
        special_tokens=tuple(document.get("special_tokens") or ()),
        adds_bos=bool(document.get("adds_bos", False)),
        restricted=bool(document.get("restricted", False)),
        caches=bool(document.get("caches", True)),
        base_model=str(document.get("base_model") or ""),
        fim_template=_fim(document.get("fim_template")),
        policy=policy or OPEN,
    )


def _policy(document: dict[str, Any], organization_id: str, key: KeyEncryptionKey | None) -> Policy | None:
    """The deployment's; None where there is one that cannot be read, so that nothing goes around it."""
    published = document.get("policy")
    if not published:
        return OPEN
    if key is None:
        return None
    try:
        sealed = base64.b64decode(published["sealed"], validate=True)
        return open_policy(key, sealed, UUID(organization_id), UUID(document["deployment_id"]))
    except (CiphertextAltered, InvalidRequest, ValueError, KeyError, TypeError) as error:
        log.error("policy_unreadable", deployment_id=document["deployment_id"], error=type(error).__name__)
        return None


def _least(*bounds: int | str | None) -> int | None:
    """The least of those that are there."""
    return min((int(one) for one in bounds if one is not None), default=None)


def _fim(markers: dict[str, Any] | None) -> FimTemplate | None:
    if not markers:
        return None
    return FimTemplate(str(markers["prefix"]), str(markers["suffix"]), str(markers["middle"]))


def _backends(documents: list[dict[str, Any]]) -> tuple[BackendAddress, ...]:
    if not documents:
        raise ValueError
    return tuple(
        BackendAddress(
            kind=str(one["kind"]),
            url=str(one["url"]),
            features=frozenset(one.get("features") or ()),
            served_name=str(one["served_name"]) if one.get("served_name") else None,
        )
        for one in documents
    )
