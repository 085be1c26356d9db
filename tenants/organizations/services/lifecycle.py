"""The life of an organization: renamed, suspended, resumed, closed after a grace period, or kept."""

import unicodedata
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from tenants.organizations.models import Organization, OrganizationState
from tenants.organizations.services import holds

CHANGED = "tenants.organization.changed.v1"
SUSPENDED = "tenants.organization.suspended.v1"
RESUMED = "tenants.organization.resumed.v1"
CLOSING = "tenants.organization.closing.v1"
REOPENED = "tenants.organization.reopened.v1"
CLOSED = "tenants.organization.closed.v1"
MAX_NAME_CHARACTERS = 100
MAX_REASON_CHARACTERS = 500


class WrongState(Conflict):
    """The organization is not in a state that allows this."""

    code = "organization_state"


class NameNotConfirmed(InvalidRequest):
    """Closing an organization asks for its exact name."""

    code = "name_not_confirmed"


def rename(name: str) -> Organization:
    """Give the current organization another name. Raises `InvalidRequest`, `WrongState`."""
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"'name' must have 1 to {MAX_NAME_CHARACTERS} characters, without control characters.",
            param="name",
        )
    organization = _locked(OrganizationState.ACTIVE)
    before = organization.name
    if name != before:
        _change(organization, name=name)
        record("organization.update", organization.public_id, before={"name": before}, after={"name": name})
        tell(CHANGED, organization)
    return organization


def suspend(reason: str) -> Organization:
    """Stop everything in the current organization, with a reason that its members see. For the operator.

    Raises `InvalidRequest` without a reason, `WrongState` unless it is active.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON_CHARACTERS or not reason.isprintable():
        raise InvalidRequest(
            f"'reason' must have 1 to {MAX_REASON_CHARACTERS} characters on one line.", param="reason"
        )
    organization = _locked(OrganizationState.ACTIVE)
    _change(organization, state=OrganizationState.SUSPENDED, state_reason=reason)
    record("organization.suspend", organization.public_id, reason=reason)
    tell(SUSPENDED, organization)
    return organization


def resume() -> Organization:
    """Let the current organization go on after a suspension. Raises `WrongState`."""
    organization = _locked(OrganizationState.SUSPENDED)
    _change(organization, state=OrganizationState.ACTIVE, state_reason="")
    record("organization.resume", organization.public_id)
    tell(RESUMED, organization)
    return organization


def request_close(name: str) -> Organization:
    """Close the current organization: after the grace period everything of it is erased.

    `name` must be its exact name. Raises `NameNotConfirmed`, `WrongState`, `UnderLegalHold`.
    """
    holds.require_nothing_held()
    organization = _locked(OrganizationState.ACTIVE)
    if name != organization.name:
        raise NameNotConfirmed(
            "To close the organization, give its exact name in 'name'; what was given is another.",
            param="name",
        )
    grace = timedelta(days=settings.CLOSING_GRACE_DAYS)
    _change(organization, state=OrganizationState.CLOSING, erase_at=Now() + grace)
    record("organization.close", organization.public_id, erase_at=str(organization.erase_at))
    tell(CLOSING, organization)
    return organization


def undo_close() -> Organization:
    """Keep the current organization after all. Raises `WrongState` once the grace period is over."""
    organization = _locked(OrganizationState.CLOSING)
    _change(organization, state=OrganizationState.ACTIVE, erase_at=None)
    record("organization.reopen", organization.public_id)
    tell(REOPENED, organization)
    return organization


def _locked(expected: OrganizationState) -> Organization:
    organization = Organization.objects.select_for_update(no_key=True).get(pk=current_organization_id())
    if organization.state != expected:
        raise WrongState(
            f"The organization is {organization.state}; this needs one that is {expected.value}."
        )
    return organization


def _change(organization: Organization, **values: object) -> None:
    Organization.objects.filter(pk=organization.pk).update(**values)
    organization.refresh_from_db()


def tell(name: str, organization: Organization) -> None:
    """Say what happened to an organization; gateways and consoles follow."""
    emit(
        Happening(
            name,
            aggregate_id=organization.pk,
            resource="organization",
            resource_id=organization.public_id,
            payload={"state": organization.state},
        )
    )
