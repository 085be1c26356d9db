"""The serving snapshot's entries as they are written: names and JSON values (docs/serving.md)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.utils import timezone

from inference.deployments.models import Deployment
from inference.deployments.policy_entries import PROJECT_PREFIX, Published, rows_of, shown
from inference.deployments.writing import Entries
from kernel.errors import DomainError
from tenants.access.models import ApiKey
from tenants.access.powers import Powers, maker_id_of, powers_of
from tenants.organizations.models import Organization, Project
from tenants.organizations.refusals import refusal_of
from tenants.organizations.services.policies import stores_requests
from training.registry.models import BaseModel

READY = "lw:snapshot:ready"
KEY_PREFIX = "lw:snapshot:key:"
# An answer for which nobody set a limit must not hold the whole context of a pod that others wait for.
DEFAULT_MAX_TOKENS = 1024
# What the embedded engine can do beyond the least that gateways expect of a server (docs/engine.md).
FEATURES = ["grammar", "regex", "top_logprobs"]


def entries_of_keys(keys: Sequence[ApiKey]) -> Entries:
    """One entry for each secret of keys of the current organization; None, to remove it, of one that is dead.

    While a rotation overlaps, a key has two. Administration keys are no business of the gateways.
    """
    powers = powers_of(keys)
    entries: Entries = {}
    for key in keys:
        if key.previous_hash:
            until = key.previous_until
            entries[KEY_PREFIX + key.previous_hash] = _secret(key, powers[key.pk], until=until)
        entries[KEY_PREFIX + key.secret_hash] = _secret(key, powers[key.pk])
    return entries


def opens_something(key: ApiKey) -> bool:
    """Whether a gateway may know the key at all."""
    return key.revoked_at is None and key.project_id is not None


def entries_of_projects(
    projects: Iterable[Project], sealed: Mapping[UUID, Published] = MappingProxyType({})
) -> Entries:
    """One entry for each project, with all its deployments; reads the database in the current scope.

    `sealed` are the policies of deployments as `policy_entries` sealed them for the gateways.
    """
    wanted = {project.pk: project for project in projects}
    bases = {base.name: base for base in BaseModel.objects.all()}
    organizations = Organization.objects.in_bulk([project.organization_id for project in wanted.values()])
    policies = {one.deployment_id: one for one in rows_of(list(wanted))}
    deployments: dict[Any, list[dict[str, Any]]] = {pk: [] for pk in wanted}
    for row in Deployment.objects.filter(project_id__in=list(wanted)).order_by("pk"):
        document = _deployment(row, bases.get(row.base_model))
        if row.pk in policies:
            document["policy"] = shown(policies[row.pk], sealed)
        deployments[row.project_id].append(document)
    return {
        f"{PROJECT_PREFIX}{pk}": _encoded(
            {
                "organization_id": str(project.organization_id),
                "project_id": str(pk),
                "refusal": _refusal(refusal_of(organizations[project.organization_id], project)),
                "models": _listed(project),
                "stores_responses": stores_requests(organizations[project.organization_id], project),
                "deployments": deployments[pk],
            }
        )
        for pk, project in wanted.items()
    }


def adapter_id_of(deployment: Deployment) -> str | None:
    """The name under which the pod holds the adapter: it carries the hash. None for the base itself."""
    return f"adapter-{deployment.digest}" if deployment.model_version_id else None


def _secret(key: ApiKey, powers: Powers, *, until: datetime | None = None) -> bytes | None:
    """The entry of one of a key's secrets; with `until`, of the one that opens no longer than that."""
    ends = min((moment for moment in (key.expires_at, until) if moment is not None), default=None)
    if not opens_something(key) or (until is not None and until <= timezone.now()):
        return None
    maker_id = maker_id_of(key)
    held = {str(pk): sorted(permissions) for pk, permissions in powers.in_projects.items()}
    return _encoded(
        {
            "key_id": str(key.pk),
            "organization_id": str(key.organization_id),
            "project_id": str(key.project_id),
            "name": key.name,
            "maker_id": str(maker_id) if maker_id else None,
            "permissions": held.pop(str(key.project_id)),
            "projects": held,
            "models": key.allowed_models,
            "networks": key.allowed_networks,
            "expires_at": _unix(ends) if ends else None,
            # Why the organization or a project is out of service stands in the projects' entries.
            "refusal": _refusal(powers.maker_gone),
        }
    )


def _refusal(refusal: DomainError | None) -> dict[str, Any] | None:
    if refusal is None:
        return None
    return {"code": refusal.code, "message": refusal.message, "status": refusal.status}


def _listed(project: Project) -> dict[str, Any] | None:
    if project.model_list is None:
        return None
    return {"mode": project.model_list_mode, "model_ids": project.model_list}


def _deployment(deployment: Deployment, base: BaseModel | None) -> dict[str, Any]:
    return {
        "alias": deployment.alias,
        "deployment_id": str(deployment.pk),
        # Text in any case: empty stands for the base model itself.
        "model_version_id": str(deployment.model_version_id or ""),
        "created_at": _unix(deployment.created_at),
        "state": deployment.state,
        # Kept to some members: programs, which are nobody, do not reach it.
        "restricted": deployment.restricted,
        "caches": deployment.caches,
        "base_model": deployment.base_model,
        "digest": deployment.digest,
        "adapter_id": adapter_id_of(deployment),
        "backends": [{"kind": "tgi", "url": settings.POD_URL, "features": FEATURES}],
        "chat_template": base.chat_template if base else "",
        "eos_token": base.eos_token if base else "",
        "bos_token": base.bos_token if base else "",
        "context_tokens": base.context_tokens if base else 0,
        "default_max_tokens": DEFAULT_MAX_TOKENS,
    }


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())


def _encoded(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document)
