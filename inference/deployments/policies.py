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
from inference.gateway.requests import checks
from inference.prompts.models import PromptTemplate, PromptVersion
from inference.prompts.services import find_template, find_version
from kernel import ids
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
    row = deployment.policies.select_related("prompt_version").first()
    if row is None:
        return PolicyInForce()
    document = orjson.loads(row.document)
    if row.prompt_version is not None:
        document["prompt"] = _pin(row.prompt_version)
    return PolicyInForce(document, read_policy(document_for_gateways(row)).digest, row.updated_at)


def document_for_gateways(row: DeploymentPolicy) -> dict[str, Any]:
    """The policy with the messages of the prompt template that it pins.

    Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`.
    """
    document: dict[str, Any] = orjson.loads(row.document)
    pinned = row.prompt_version
    if pinned is not None:
        document["prompt"] = _pin(pinned) | {"messages": orjson.loads(pinned.messages)}
    return document


def set_policy(deployment: Deployment, document: object) -> None:
    """Hold the deployment to this policy; gateways follow from the event on. An empty one lets all pass.

    Raises an `InvalidRequest` that names the place at fault, `PromptUnknown`, `KeyDestroyed`,
    `KeyUnavailable`.
    """
    fields = dict(checks.mapping(document, "policy"))
    pinned = _pinned(deployment, fields.pop("prompt", None))
    read_policy(fields)
    encoded = orjson.dumps(fields)
    if len(encoded) > MAX_POLICY_BYTES:
        raise InvalidValue(f"The policy is too long: at most {MAX_POLICY_BYTES} bytes of JSON are kept.")
    # One after the other, so that what is recorded as before is what was so.
    Deployment.objects.select_for_update().get(pk=deployment.pk)
    before = policy_of(deployment).digest
    if fields or pinned is not None:
        row = deployment.policies.first() or DeploymentPolicy(deployment=deployment)
        row.stamp()
        row.document, row.prompt_version, row.updated_at = encoded.decode(), pinned, Now()
        digest = read_policy(document_for_gateways(row)).digest
        if digest == before:
            return
        row.save()
    else:
        digest = ""
        if digest == before:
            return
        deployment.policies.all().delete()
    _tell(deployment, before, digest)


def _tell(deployment: Deployment, before: str, after: str) -> None:
    """Record the digests only: the texts are the organization's own."""
    Deployment.objects.filter(pk=deployment.pk).update(updated_at=Now())
    record(
        "deployment.update",
        deployment.public_id,
        before={"policy": before or None},
        after={"policy": after or None},
    )
    tell(CHANGED, deployment)


def _pinned(deployment: Deployment, value: object) -> PromptVersion | None:
    """The version that a policy names. Raises an `InvalidRequest`, `PromptUnknown`."""
    if value is None:
        return None
    given = checks.mapping(value, "prompt")
    checks.only(given, ("id", "version"), "prompt.")
    public_id = checks.text(given.get("id"), "prompt.id")
    number = checks.integer(1, 2**31 - 1)(given.get("version"), "prompt.version")
    template = find_template(deployment.project_id, public_id, param="prompt.id")
    return find_version(template, str(number), param="prompt.version")


def _pin(version: PromptVersion) -> dict[str, Any]:
    return {"id": ids.render(PromptTemplate.prefix, version.template_id), "version": version.number}
