"""Legal holds: what must not be erased, by nobody and by no clock, until somebody lifts the hold."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest, NotFound
from tenants.organizations.models import HeldSubject, LegalHold

MAX_NAME_CHARACTERS = 100
MAX_REASON_CHARACTERS = 500


class UnderLegalHold(Conflict):
    """What was to be erased is under a legal hold."""

    code = "legal_hold"

    def __init__(self, holds: Collection[LegalHold]) -> None:
        named = ", ".join(f"'{hold.name}' ({hold.public_id})" for hold in holds)
        super().__init__(
            f"Nothing of this may be erased: it is under the legal hold {named}. Lift the hold first."
        )


class HoldLifted(Conflict):
    """The hold was lifted before."""

    code = "hold_lifted"
    message = "This hold is lifted already."


def in_force(*, people: Collection[UUID] = (), files: Collection[UUID] = ()) -> list[LegalHold]:
    """The holds of the current organization on all of it, on these people and on these files."""
    subject = Q(subject_kind=HeldSubject.ORGANIZATION)
    subject |= Q(subject_kind=HeldSubject.PERSON, subject_id__in=people)
    subject |= Q(subject_kind=HeldSubject.FILE, subject_id__in=files)
    return list(LegalHold.objects.filter(subject, lifted_at=None).order_by("pk"))


def require_free(*, people: Collection[UUID] = (), files: Collection[UUID] = ()) -> None:
    """Raises `UnderLegalHold` where one of them, or the whole organization, is held."""
    if holds := in_force(people=people, files=files):
        raise UnderLegalHold(holds)


def require_nothing_held() -> None:
    """Raises `UnderLegalHold` where anything of the organization is held: it must not go as a whole."""
    if holds := list(LegalHold.objects.filter(lifted_at=None).order_by("pk")):
        raise UnderLegalHold(holds)


def held_ids(kind: HeldSubject) -> set[UUID]:
    """The people or the files that are held."""
    rows = LegalHold.objects.filter(subject_kind=kind, lifted_at=None)
    return {pk for pk in rows.values_list("subject_id", flat=True) if pk is not None}


def set_hold(
    kind: HeldSubject, subject_id: UUID | None, *, name: str, reason: str, by: UUID | None
) -> LegalHold:
    """Hold something; the caller has found the subject. Raises `InvalidRequest`."""
    name, reason = _line(name, "name", MAX_NAME_CHARACTERS), _line(reason, "reason", MAX_REASON_CHARACTERS)
    hold: LegalHold = LegalHold.objects.create(
        subject_kind=kind, subject_id=subject_id, name=name, reason=reason, created_by_id=by
    )
    hold.refresh_from_db()
    record("legal_hold.set", hold.public_id, subject=kind.value, name=name, reason=reason)
    return hold


def lift_hold(hold_id: UUID, *, reason: str, by: UUID | None) -> LegalHold:
    """Let what was held be erased again. Raises `NotFound`, `HoldLifted`, `InvalidRequest`."""
    hold = find_hold(hold_id)
    reason = _line(reason, "reason", MAX_REASON_CHARACTERS)
    lifted = {"lifted_at": Now(), "lifted_by_id": by, "lifted_because": reason}
    if not LegalHold.objects.filter(pk=hold.pk, lifted_at=None).update(**lifted):
        raise HoldLifted
    record("legal_hold.lift", hold.public_id, name=hold.name, reason=reason)
    hold.refresh_from_db()
    return hold


def find_hold(hold_id: UUID) -> LegalHold:
    """One of the current organization's holds. Raises `NotFound`."""
    hold: LegalHold | None = LegalHold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such legal hold.")
    return hold


def _line(text: str, param: str, longest: int) -> str:
    text = text.strip()
    if not 0 < len(text) <= longest or not text.isprintable():
        raise InvalidRequest(f"'{param}' must have 1 to {longest} characters on one line.", param=param)
    return text
