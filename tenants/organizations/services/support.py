"""Consent that the platform's operator looks in: given by the organization, for a time, withdrawn at once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from tenants.organizations.models import SupportAccess

MAX_HOURS = 72
MAX_REASON_CHARACTERS = 500
GRANTED = "tenants.support_access.granted.v1"
REVOKED = "tenants.support_access.revoked.v1"


def consent(reason: str, hours: int, *, user_id: UUID | None) -> SupportAccess:
    """Let the operator look into the current organization for so many hours. Raises `InvalidRequest`."""
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON_CHARACTERS or not reason.isprintable():
        raise InvalidRequest(
            f"'reason' must have 1 to {MAX_REASON_CHARACTERS} characters on one line.", param="reason"
        )
    if not 1 <= hours <= MAX_HOURS:
        raise InvalidRequest(f"'hours' must be a whole number from 1 to {MAX_HOURS}.", param="hours")
    access: SupportAccess = SupportAccess.objects.create(
        reason=reason, created_by_id=user_id, expires_at=Now() + timedelta(hours=hours)
    )
    access.refresh_from_db()
    record("support.consent", access.public_id, reason=reason, until=str(access.expires_at))
    _tell(GRANTED, access)
    return access


def revoke(access: SupportAccess) -> SupportAccess:
    """Withdraw the consent at once; withdrawing it again changes nothing."""
    if SupportAccess.objects.filter(pk=access.pk, revoked_at=None).update(revoked_at=Now()):
        record("support.revoke", access.public_id)
        _tell(REVOKED, access)
    access.refresh_from_db()
    return access


def find_access(access_id: UUID) -> SupportAccess:
    """A consent of the current organization. Raises `NotFound`."""
    found: SupportAccess | None = SupportAccess.objects.filter(pk=access_id).first()
    if found is None:
        raise NotFound("There is no such support access.")
    return found


def in_force() -> "QuerySet[SupportAccess, Any]":
    """The consents of the current organization that hold now."""
    rows: QuerySet[SupportAccess, Any] = SupportAccess.objects.filter(revoked_at=None, expires_at__gt=Now())
    return rows.order_by("-expires_at")


def _tell(name: str, access: SupportAccess) -> None:
    emit(
        Happening(
            name,
            aggregate_id=current_organization_id(),
            resource="support_access",
            resource_id=access.public_id,
        )
    )
