"""What people ask of exports: to begin one, to cancel it, to have its file."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.storage import objects
from tenants.access.models import Member
from tenants.compliance.copies import expire
from tenants.compliance.errors import ExportNotReady, ExportUnderWay, ExportUnknown
from tenants.compliance.models import Export, ExportState
from tenants.compliance.work import announce


def of_organization() -> "QuerySet[Export]":
    """The exports that administrators asked for."""
    rows: QuerySet[Export] = Export.objects.filter(is_own=False)
    return rows


def own_of(person: UUID) -> "QuerySet[Export]":
    """Those that a person asked for of themselves."""
    rows: QuerySet[Export] = Export.objects.filter(is_own=True, person=person)
    return rows


def export_organization(*, by: UUID | None) -> Export:
    """Begin a copy of everything that the organization holds. Raises `ExportUnderWay`."""
    return _begin(Export(created_by_id=by, state=ExportState.RUNNING))


def export_member(member: Member, *, by: UUID | None) -> Export:
    """Begin a copy of what the organization holds about a member. Raises `ExportUnderWay`."""
    return _begin(Export(created_by_id=by, person=member.user_id, state=ExportState.RUNNING))


def export_own(person: UUID) -> Export:
    """Begin a copy of what the organization holds about the caller, and of their account.

    Raises `ExportUnderWay`.
    """
    return _begin(Export(created_by_id=person, person=person, is_own=True, state=ExportState.RUNNING))


def find_export(rows: "QuerySet[Export]", public_id: str) -> Export:
    """One of these exports. Raises `ExportUnknown`."""
    found = rows.filter(pk=ids.parse("export", public_id, param="export_id")).first()
    if found is None:
        raise ExportUnknown(param="export_id")
    return found


def cancel_export(export: Export) -> Export:
    """Have an export stop, or its file removed; twice is once."""
    running = Export.objects.filter(pk=export.pk, state=ExportState.RUNNING, cancel_requested_at=None)
    if running.update(cancel_requested_at=Now()):
        record("export.cancel", export.public_id)
    elif expire(export):
        record("export.delete", export.public_id)
    export.refresh_from_db()
    return export


def open_export(export: Export) -> Iterator[bytes]:
    """The file's bytes; recorded in the caller's scope. Raises `ExportNotReady`."""
    if export.state != ExportState.READY:
        raise ExportNotReady(f"The export is {export.state}: it has no file to download.")
    record("export.download", export.public_id, person=_named(export))
    return objects.get(export.organization_id, export.object_key)


def _begin(export: Export) -> Export:
    same = Export.objects.filter(person=export.person, is_own=export.is_own, state=ExportState.RUNNING)
    if same.exists():
        raise ExportUnderWay
    export.save(force_insert=True)
    export.refresh_from_db()
    record("export.start", export.public_id, person=_named(export), own=export.is_own)
    announce(export)
    return export


def _named(export: Export) -> str | None:
    return ids.render("user", export.person) if export.person else None
