"""Policies of deployments as they are published: sealed for the gateways (docs/serving.md).

What is published stays as it is until the policy is another one, so that whoever publishes everything each
minute asks no provider of keys.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import orjson
import structlog
from django.conf import settings

from inference.deployments.models import DeploymentPolicy
from inference.deployments.policies import document_for_gateways
from inference.deployments.valkey import valkey
from inference.gateway.cache.secret import is_sealed_by
from inference.gateway.policy.sealed import policy_key, seal_policy
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyUnavailable
from kernel.crypto.values import KeyEncryptionKey

PROJECT_PREFIX = "lw:snapshot:project:"

Published = dict[str, str]
"""`revision`, and `sealed` in Base64: what a gateway opens."""

log = structlog.get_logger()


def rows_of(project_ids: Collection[UUID]) -> list[DeploymentPolicy]:
    """The policies of the projects' deployments, in the current scope."""
    rows = DeploymentPolicy.objects.filter(deployment__project_id__in=project_ids)
    return list(rows.select_related("deployment", "prompt_version"))


def revision_of(row: DeploymentPolicy) -> str:
    """Another one after each change, and after the row was sealed anew."""
    pinned = row.prompt_version.sealed_messages if row.prompt_version is not None else b""
    return hashlib.sha256(bytes(row.sealed_document) + bytes(pinned)).hexdigest()[:32]


def sealed_for_gateways(rows: Sequence[DeploymentPolicy]) -> dict[UUID, Published]:
    """What to publish by deployment, without those whose key cannot be had now.

    Hold no transaction: the provider of the organization's key may be asked. Raises `redis.RedisError`.
    """
    present = _published({row.deployment.project_id for row in rows}) if rows else {}
    sealed = {row.deployment_id: _sealed(row, present.get(str(row.deployment_id))) for row in rows}
    return {deployment_id: one for deployment_id, one in sealed.items() if one is not None}


def shown(row: DeploymentPolicy, sealed: Mapping[UUID, Published]) -> Published:
    """The deployment's policy in its entry. One that is not at hand as it is now opens nowhere: the gateways
    serve nothing without it, until it is published.
    """
    revision = revision_of(row)
    found = sealed.get(row.deployment_id)
    return found if found and found["revision"] == revision else {"revision": revision, "sealed": ""}


def _published(project_ids: Collection[UUID]) -> dict[str, Any]:
    names = [f"{PROJECT_PREFIX}{project_id}" for project_id in project_ids]
    values = [value for value in cast(list[bytes | None], valkey().mget(names)) if value is not None]
    deployments = [one for value in values for one in orjson.loads(value)["deployments"]]
    return {one["deployment_id"]: one["policy"] for one in deployments if one.get("policy")}


def _names(present: Published, key: KeyEncryptionKey) -> bool:
    """Whether it is sealed under this key: under another pepper it would open nowhere."""
    try:
        return is_sealed_by(key, base64.b64decode(present["sealed"], validate=True))
    except (CiphertextAltered, ValueError):
        return False


def _sealed(row: DeploymentPolicy, present: Published | None) -> Published | None:
    key = policy_key(settings.API_KEY_PEPPER)
    revision = revision_of(row)
    if present is not None and present["revision"] == revision and _names(present, key):
        return present
    try:
        document = orjson.dumps(document_for_gateways(row))
    except (KeyDestroyed, KeyUnavailable, CiphertextAltered) as fault:
        log.warning("policy.not_opened", deployment_id=str(row.deployment_id), fault=type(fault).__name__)
        return None
    sealed = seal_policy(key, document, row.organization_id, row.deployment_id)
    return {"revision": revision, "sealed": base64.b64encode(sealed).decode()}
