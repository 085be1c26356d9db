"""Seats: how many people an organization's plan lets in."""

from django.apps import apps

from kernel.errors import DomainError
from kernel.tenancy.scope import current_organization_id
from tenants.limits.models import Plan
from tenants.organizations.models import Organization


class SeatLimitReached(DomainError):
    """Every seat of the plan is taken."""

    code, status = "seat_limit_reached", 403


def require_a_seat() -> None:
    """Lock the current organization and raise `SeatLimitReached` unless one more person fits its plan.

    The lock lasts until the caller's transaction ends, so that of people who join at once as many get in as
    there are seats.
    """
    organization = Organization.objects.select_for_update(no_key=True).get(pk=current_organization_id())
    bound = seats()
    if bound is None:
        return
    taken = seats_taken()
    if taken + 1 > bound:
        raise SeatLimitReached(
            f"The plan '{organization.plan}' has {bound} seats and {taken} are taken. Remove a member, or "
            "ask the platform's operator for a plan with more seats.",
            param="seats",
        )


def seats() -> int | None:
    """How many members the plan of the current organization has room for; None for any number."""
    plan = Organization.objects.values_list("plan", flat=True).get(pk=current_organization_id())
    return Plan.objects.filter(pk=plan).values_list("seats", flat=True).first()


def seats_taken() -> int:
    """How many active members the current organization has."""
    # Members live in a room that stands on this one, so they are found by name.
    member = apps.get_model("access", "Member")
    taken: int = member.objects.filter(deactivated_at=None).count()
    return taken
