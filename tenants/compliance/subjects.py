"""Whom or what a request for erasure means, and whether it may be erased."""

from uuid import UUID

import orjson

from kernel import ids
from kernel.ports.erasure import Subject
from tenants.compliance.models import ErasureRequest
from tenants.organizations.services import holds


def subject_of(request: ErasureRequest) -> Subject:
    """Whom or what a request that is not settled means."""
    named = orjson.loads(request.subject or "{}")
    return Subject(
        organization_id=request.organization_id,
        person=request.person,
        words=tuple(named.get("words", ())),
        rows={UUID(pk): frozenset(numbers) for pk, numbers in named.get("rows", {}).items()},
    )


def require_free(request: ErasureRequest) -> None:
    """Raises `UnderLegalHold` where the person, or a file of the plan, is held."""
    files = [
        ids.parse("file", trace["place"])
        for trace in request.plan.get("traces", ())
        if trace["place"].startswith(ids.head_of("file"))
    ]
    holds.require_free(people=[request.person] if request.person else [], files=files)
