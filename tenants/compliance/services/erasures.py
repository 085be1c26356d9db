"""What people ask of erasures: to have somebody found, to approve the plan, to take the request back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.errors import InvalidRequest
from tenants.access.models import Member
from tenants.access.principal import Principal
from tenants.access.services import roles
from tenants.compliance import subjects
from tenants.compliance.errors import ErasureUnknown, NothingNamed, SecondPersonRequired, WrongErasureState
from tenants.compliance.models import ErasureRequest, ErasureState
from tenants.compliance.work import announce
from tenants.datasets.models import File
from tenants.organizations.models import Organization
from tenants.organizations.services import holds

MAX_WORDS = 50
MIN_WORD_CHARACTERS = 4
MAX_WORD_CHARACTERS = 200
MAX_ROWS = 100_000
MAX_REFERENCE_CHARACTERS = 100


@dataclass(frozen=True)
class Wish:
    """Who or what is to be erased: a member, whoever the words name, rows by the public id of their file."""

    member: Member | None = None
    words: Sequence[str] = ()
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    reference: str = ""


def request_erasure(wish: Wish, *, by: Principal) -> ErasureRequest:
    """Have everything found that holds them; nothing is erased before the plan is approved.

    A member's own address is looked for too. Raises `NothingNamed`, `InvalidRequest`, `LastOwner`,
    `UnderLegalHold`.
    """
    if wish.member is not None:
        roles.require_an_owner(besides=wish.member)
    words = [*([wish.member.user.email] if wish.member else []), *(_word(word) for word in wish.words)]
    rows = {str(_file(name).pk): sorted(set(numbers)) for name, numbers in wish.rows.items()}
    if not words and not rows:
        raise NothingNamed
    if len(words) > MAX_WORDS + 1 or sum(map(len, rows.values())) > MAX_ROWS:
        raise InvalidRequest(f"One request names at most {MAX_WORDS} words and {MAX_ROWS} rows.")
    person = wish.member.user_id if wish.member else None
    holds.require_free(people=[person] if person else [], files=[UUID(pk) for pk in rows])
    request = ErasureRequest(
        organization_id=by.organization_id,
        created_by_id=by.user_id,
        state=ErasureState.FINDING,
        person=person,
        reference=wish.reference.strip(),
    )
    request.subject = orjson.dumps({"words": words, "rows": rows}).decode()
    request.save(force_insert=True)
    request.refresh_from_db()
    record("erasure.request", request.public_id, **_told(request))
    announce(request)
    return request


def approve_erasure(request: ErasureRequest, *, by: Principal) -> ErasureRequest:
    """Have the plan done. Raises `WrongErasureState`, `SecondPersonRequired`, `UnderLegalHold`."""
    locked: ErasureRequest = ErasureRequest.objects.select_for_update().get(pk=request.pk)
    # What failed midway is approved again, and goes on from there.
    if locked.state not in (ErasureState.PLANNED, ErasureState.FAILED) or not locked.plan:
        raise WrongErasureState(f"The request is {locked.state}; only a plan is approved.")
    organization = Organization.objects.get(pk=by.organization_id)
    if organization.erasure_needs_two and by.user_id in (None, locked.created_by_id):
        raise SecondPersonRequired
    subjects.require_free(locked)
    ErasureRequest.objects.filter(pk=locked.pk).update(
        state=ErasureState.ERASING,
        approved_at=Now(),
        approved_by_id=by.user_id,
        done=0,
        total=len(locked.plan["traces"]),
        attempts=0,
        fault="",
        lease_until=None,
    )
    locked.refresh_from_db()
    record("erasure.approve", locked.public_id, **_told(locked))
    announce(locked)
    return locked


def cancel_erasure(request: ErasureRequest) -> ErasureRequest:
    """Take a request back before it is approved. Raises `WrongErasureState`."""
    still_open = ErasureRequest.objects.filter(
        pk=request.pk,
        state__in=[ErasureState.FINDING, ErasureState.PLANNED, ErasureState.FAILED],
        approved_at=None,
    )
    if not still_open.update(state=ErasureState.CANCELLED, finished_at=Now(), sealed_subject=b""):
        raise WrongErasureState(f"The request is {request.state}; it cannot be taken back any more.")
    record("erasure.cancel", request.public_id, **_told(request))
    request.refresh_from_db()
    return request


def change_policy(*, needs_two: bool) -> None:
    """Say whether whoever asks for an erasure may not be the one who approves it."""
    organization = Organization.objects.select_for_update(no_key=True).get()
    before, organization.erasure_needs_two = organization.erasure_needs_two, needs_two
    if before != needs_two:
        organization.save(update_fields=["erasure_needs_two"])
        change = {"before": {"erasure_needs_two": before}, "after": {"erasure_needs_two": needs_two}}
        record("organization.update", organization.public_id, **change)


def find_erasure(public_id: str) -> ErasureRequest:
    """One of the current organization's requests. Raises `ErasureUnknown`."""
    wanted = ids.parse("erasure", public_id, param="erasure_id")
    found: ErasureRequest | None = ErasureRequest.objects.filter(pk=wanted).first()
    if found is None:
        raise ErasureUnknown(param="erasure_id")
    return found


def _word(word: str) -> str:
    word = " ".join(word.split())
    if not MIN_WORD_CHARACTERS <= len(word) <= MAX_WORD_CHARACTERS or not word.isprintable():
        raise InvalidRequest(
            f"Each of 'words' must have {MIN_WORD_CHARACTERS} to {MAX_WORD_CHARACTERS} characters.",
            param="words",
        )
    return word


def _file(public_id: str) -> File:
    found: File | None = File.objects.filter(pk=ids.parse("file", public_id), deleted_at=None).first()
    if found is None:
        raise InvalidRequest(f"There is no file '{public_id[:80]}'.", param="rows", code="file_not_found")
    return found


def _told(request: ErasureRequest) -> dict[str, str | None]:
    person = ids.render("user", request.person) if request.person else None
    return {"person": person, "reference": request.reference}
