"""What people set as a deployment's policy (docs/policy.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db.models.functions import Now

from inference.deployments.happenings import CHANGED, tell
from inference.deployments.models import Deployment, DeploymentPolicy
from inference.gateway.faults import InvalidValue
from inference.gateway.policy.document import read_policy
from kernel.audit.log import record

MAX_POLICY_BYTES = 256 * 1024


@dataclass(frozen=True)
class PolicyInForce:
    """A deployment's policy as it was set; without one, nothing of it. `digest` is SHA-256 in hex."""

    document: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    updated_at: datetime | None = None


def policy_of(deployment: Deployment) -> PolicyInForce:
    """The deployment's policy. Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`."""
    row: DeploymentPolicy | None = deployment.policies.first()
    if row is None:
        return PolicyInForce()
    document = orjson.loads(row.document)
    return PolicyInForce(document, read_policy(document).digest, row.updated_at)


def set_policy(deployment: Deployment, document: object) -> None:
    """Hold the deployment to this policy; gateways follow from the event on. An empty one lets all pass.

    Raises an `InvalidRequest` that names the place at fault, `KeyDestroyed`, `KeyUnavailable`.
    """
    digest = read_policy(document).digest
    encoded = orjson.dumps(document).decode()
    if len(encoded) > MAX_POLICY_BYTES:
        raise InvalidValue(f"The policy is too long: at most {MAX_POLICY_BYTES} bytes of JSON are kept.")
    # One after the other, so that what is recorded as before is what was so.
    Deployment.objects.select_for_update().get(pk=deployment.pk)
    before = policy_of(deployment).digest
    if digest == before:
        return
    if digest:
        row = deployment.policies.first() or DeploymentPolicy(deployment=deployment)
        row.stamp()
        row.document, row.updated_at = encoded, Now()
        row.save()
    else:
        deployment.policies.all().delete()
    Deployment.objects.filter(pk=deployment.pk).update(updated_at=Now())
    # The digests only: the texts are the organization's own.
    record(
        "deployment.update",
        deployment.public_id,
        before={"policy": before or None},
        after={"policy": digest or None},
    )
    tell(CHANGED, deployment)
