"""What people are told by e-mail: limits that are near, spend that passed an amount, a closing to come."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.mail import EmailMessage

from kernel.tenancy.scope import acting_for
from tenants.access.models import Member, RoleAssignment
from tenants.access.permissions import Role
from tenants.limits.models import SpendAlert
from tenants.organizations.models import Organization, OrganizationState

REACHED_SUBJECT = "{organization}: {percent} % of a limit is used"
REACHED = """\
{organization} has used {percent} % of the limit '{kind}' of {whose}: {used} of {value}, in the period that
began on {period}.

At 100 % requests are refused until the period ends. An owner or administrator can change the limit in the
console.
"""
SPENT_SUBJECT = "{prefix}{organization}: spend passed {amount}"
SPENT = """\
This month's spend of {whose} in {organization} passed {amount}.

You get this message because a spend alert names your address.
"""
CLOSING_SUBJECT = "{organization} will be closed"
CLOSING = """\
An owner closes {organization} on Loomworks. On {moment:%d %B %Y, %H:%M} UTC everything in it is erased for
good: files, models, conversations, keys and its log.

Until then an owner can still keep it, in the console, and you can take out what you need.
"""


def send_limit_reached(organization_id: UUID, payload: dict[str, Any]) -> None:
    """Tell the owners and administrators that a share of a limit is used."""
    with acting_for(organization_id):
        name, to = _name(), _people(Role.OWNER, Role.ADMIN)
    whose = f"the {payload['scope']}" + (f" {payload['subject_id']}" if payload["subject_id"] else "")
    subject = REACHED_SUBJECT.format(organization=name, percent=payload["percent"])
    _send(subject, REACHED.format(organization=name, whose=whose, **_shown(payload)), to)


def send_spend_alert(organization_id: UUID, alert_id: UUID) -> None:
    """Tell those whom an alert names."""
    with acting_for(organization_id):
        alert = SpendAlert.objects.filter(pk=alert_id).first()
        name = _name()
    if alert is None:
        return
    amount = f"{alert.threshold_microunits / 1_000_000:,.2f} USD"
    prefix = f"{alert.subject_prefix} " if alert.subject_prefix else ""
    whose = "a project" if alert.project_id else "everything"
    subject = SPENT_SUBJECT.format(prefix=prefix, organization=name, amount=amount)
    _send(subject, SPENT.format(organization=name, whose=whose, amount=amount), alert.recipients)


def send_closing(organization_id: UUID) -> None:
    """Tell every member that the organization will be closed, unless it is kept by now."""
    with acting_for(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        if organization.state != OrganizationState.CLOSING:
            return
        name = _name()
        members = Member.objects.filter(deactivated_at=None).select_related("user")
        to = [member.user.email for member in members]
    subject = CLOSING_SUBJECT.format(organization=name)
    _send(subject, CLOSING.format(organization=name, moment=organization.erase_at), to)


def _name() -> str:
    # A name is one line of a header here.
    return " ".join(Organization.objects.get().name.split())


def _people(*roles: Role) -> list[str]:
    rows = RoleAssignment.objects.filter(
        builtin__in=[role.value for role in roles], project=None, member__deactivated_at=None
    )
    return sorted(set(rows.exclude(member=None).values_list("member__user__email", flat=True)))


def _send(subject: str, text: str, to: Iterable[str]) -> None:
    # Each alone: addresses are not told to one another.
    for address in to:
        EmailMessage(subject, text, to=[address]).send()


def _shown(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: payload[name] for name in ("percent", "kind", "used", "value", "period")}
