"""Room for files: reserved before the bytes are stored, so that uploads at once cannot overshoot together."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Q, QuerySet, Subquery, Sum
from django.db.models.functions import Now

from kernel.tenancy.scope import current_organization_id
from tenants.limits.kinds import Kind, Scope, Subject
from tenants.limits.models import StorageReservation
from tenants.limits.refusals import StorageLimitReached
from tenants.limits.services import membership
from tenants.limits.services.bounds import Caller, bounds_for
from tenants.organizations.models import Organization

# Longer than any upload takes.
RESERVED = timedelta(hours=1)


def reserve(file_id: UUID, size_bytes: int, caller: Caller) -> None:
    """Set bytes aside for an upload of the current organization. Raises `StorageLimitReached`.

    Call it in a transaction of its own before the bytes are stored, and `release` afterwards: in the
    transaction that registers the file, or when storing failed.
    """
    bounds = bounds_for(caller, {Kind.STORAGE_BYTES})
    if not bounds or caller.project_id is None:
        return
    # One at a time, without holding up whoever only adds rows to the organization.
    Organization.objects.select_for_update(no_key=True).get(pk=current_organization_id())
    for bound in bounds:
        held = _held(bound.subject)
        if held + size_bytes > bound.value:
            raise StorageLimitReached(bound, used=held, wanted=size_bytes)
    StorageReservation.objects.create(
        id=file_id,
        project_id=caller.project_id,
        user_id=caller.user_id,
        bytes=size_bytes,
        expires_at=Now() + RESERVED,
    )


def release(file_id: UUID) -> None:
    """Let go of what was set aside: the file is registered and counts itself, or there is none."""
    StorageReservation.objects.filter(Q(pk=file_id) | Q(expires_at__lt=Now())).delete()


def used(subject: Subject) -> int:
    """How many bytes the files of a subject have."""
    return int(_files(subject).aggregate(total=Sum("bytes"))["total"] or 0)


def _held(subject: Subject) -> int:
    """What its files have and what is set aside for it, as of one moment.

    In one statement: between two, an upload that ends would be in neither.
    """
    organizations = Organization.objects.filter(pk=current_organization_id())
    both = organizations.values_list(_total(_files(subject)), _total(_reservations(subject))).get()
    return sum(int(part or 0) for part in both)


def _total(rows: "QuerySet[Any]") -> Subquery:
    return Subquery(rows.order_by().values("organization_id").annotate(total=Sum("bytes")).values("total"))


def _files(subject: Subject) -> "QuerySet[Any]":
    # Files live in a room that stands on this one, so their model is found by name.
    files = apps.get_model("datasets", "File").objects.filter(deleted_at=None)
    if subject.scope is Scope.PROJECT:
        return files.filter(project_id=subject.subject_id)
    people = _people(subject)
    return files if people is None else files.filter(created_by_id__in=people)


def _reservations(subject: Subject) -> "QuerySet[Any]":
    rows = StorageReservation.objects.filter(expires_at__gte=Now())
    if subject.scope is Scope.PROJECT:
        return rows.filter(project_id=subject.subject_id)
    people = _people(subject)
    return rows if people is None else rows.filter(user_id__in=people)


def _people(subject: Subject) -> list[UUID] | None:
    if subject.scope is Scope.MEMBER and subject.subject_id:
        return [subject.subject_id]
    if subject.scope is Scope.GROUP and subject.subject_id:
        return membership.people_of(subject.subject_id)
    return None
