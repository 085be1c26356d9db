"""The serving snapshot's entries as they are written: names and JSON values (docs/serving.md)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings

from inference.deployments.models import Deployment
from tenants.access.models import ApiKey
from tenants.organizations.models import Project
from training.registry.models import BaseModel

READY = "lw:snapshot:ready"
CHANGED = "lw:snapshot:changed"
KEY_PREFIX = "lw:snapshot:key:"
PROJECT_PREFIX = "lw:snapshot:project:"
# An answer for which nobody set a limit must not hold the whole context of a pod that others wait for.
DEFAULT_MAX_TOKENS = 1024

Entries = dict[str, bytes | None]


def entries_of_keys(keys: Iterable[ApiKey]) -> Entries:
    """One entry for each key; None, which means to remove it, for a revoked one."""
    return {
        KEY_PREFIX + key.secret_hash: None if key.revoked_at is not None else _encoded(_key(key))
        for key in keys
    }


def entries_of_projects(projects: Iterable[Project]) -> Entries:
    """One entry for each project, with all its deployments; reads the database in the current scope."""
    wanted = {project.pk: project for project in projects}
    bases = {base.name: base for base in BaseModel.objects.all()}
    deployments: dict[Any, list[dict[str, Any]]] = {pk: [] for pk in wanted}
    for row in Deployment.objects.filter(project_id__in=list(wanted)).order_by("pk"):
        deployments[row.project_id].append(_deployment(row, bases.get(row.base_model)))
    return {
        f"{PROJECT_PREFIX}{pk}": _encoded(
            {
                "organization_id": str(project.organization_id),
                "project_id": str(pk),
                "deployments": deployments[pk],
            }
        )
        for pk, project in wanted.items()
    }


def adapter_id_of(deployment: Deployment) -> str | None:
    """The name under which the pod holds the adapter: it carries the hash. None for the base itself."""
    return f"adapter-{deployment.digest}" if deployment.model_version_id else None


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": str(key.pk),
        "organization_id": str(key.organization_id),
        "project_id": str(key.project_id),
        "name": key.name,
        "permissions": sorted(key.permissions),
        "expires_at": _unix(key.expires_at) if key.expires_at else None,
    }


def _deployment(deployment: Deployment, base: BaseModel | None) -> dict[str, Any]:
    return {
        "alias": deployment.alias,
        "deployment_id": str(deployment.pk),
        # Text in any case: empty stands for the base model itself.
        "model_version_id": str(deployment.model_version_id or ""),
        "created_at": _unix(deployment.created_at),
        "state": deployment.state,
        "base_model": deployment.base_model,
        "digest": deployment.digest,
        "adapter_id": adapter_id_of(deployment),
        "backend": {"kind": "tgi", "url": settings.POD_URL},
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
