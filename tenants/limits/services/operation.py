"""What the platform's operator does; each act is in the platform's own trail."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import Conflict, DomainError, InvalidRequest, NotFound
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.limits.kinds import MAX_VALUE, Kind
from tenants.limits.models import Plan, PlatformEntry, PlatformPolicy, Price, SignUpMode
from tenants.limits.services import bounds, prices
from tenants.organizations.models import Organization


class PriceTaken(Conflict):
    """A model has one price at a time."""

    code = "price_taken"


class TrialsUsedUp(DomainError):
    """As many organizations as the operator allows were signed up in the last 24 hours."""

    code, status = "trials_used_up", 429
    retry_after_seconds = 3600


def note(actor: str, action: str, target: str, **details: Any) -> None:
    """Write to the platform's own trail, in the transaction of the act."""
    PlatformEntry.objects.create(actor=actor, action=action, target=target, details=details)


def save_plan(name: str, *, title: str, seats: int | None, limits: dict[str, int], by: str) -> Plan:
    """Make a plan or change it; gateways follow within a minute. Raises `InvalidRequest`."""
    for kind, value in limits.items():
        if kind not in {known.value for known in Kind}:
            known_kinds = ", ".join(Kind)
            raise InvalidRequest(
                f"'{kind[:50]}' is no kind of limit; there are {known_kinds}.", param="limits"
            )
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_VALUE:
            raise InvalidRequest(
                f"'limits.{kind}' must be a whole number from 0 to {MAX_VALUE}.", param=f"limits.{kind}"
            )
    with transaction.atomic():
        plan, _ = Plan.objects.update_or_create(
            name=name, defaults={"title": title, "seats": seats, "limits": limits}
        )
        note(by, "plan.save", name, title=title, seats=seats, limits=limits)
    return plan


def find_plan(name: str) -> Plan:
    """A plan. Raises `NotFound`."""
    plan = Plan.objects.filter(pk=name).first()
    if plan is None:
        raise NotFound(f"There is no plan '{name[:50]}'.", param="plan")
    return plan


def add_price(model: str, currency: str, *, by: str, valid_from: datetime | None, **amounts: int) -> Price:
    """A price of a model from a moment on (now unless told). Raises `InvalidRequest`, `PriceTaken`."""
    prices.require_known_currency(currency)
    moment = {} if valid_from is None else {"valid_from": valid_from}
    try:
        with transaction.atomic():
            price = Price.objects.create(model=model, currency=currency, **amounts, **moment)
            note(by, "price.add", model[:60], currency=currency, **amounts)
    except IntegrityError:
        raise PriceTaken(
            f"The model '{model[:100]}' has a price from that moment on already.", param="valid_from"
        ) from None
    price.refresh_from_db()
    return price


def change_policy(by: str, **changes: Any) -> PlatformPolicy:
    """Say who may sign up, with which plan, how many in a day. Raises `NotFound`, `InvalidRequest`."""
    if "trial_plan" in changes:
        changes["trial_plan"] = find_plan(changes["trial_plan"])
    if "sign_up_mode" in changes and changes["sign_up_mode"] not in set(SignUpMode.values):
        raise InvalidRequest(
            f"'sign_up_mode' must be one of {', '.join(SignUpMode.values)}.", param="sign_up_mode"
        )
    with transaction.atomic():
        policy = PlatformPolicy.objects.select_for_update().get(pk=1)
        for name, value in changes.items():
            setattr(policy, name, value)
        policy.save()
        shown = {name: str(value) if value is not None else None for name, value in changes.items()}
        note(by, "policy.change", "platform", **shown)
    return policy


def require_a_trial() -> None:
    """Lock the policy and raise `TrialsUsedUp` where as many organizations as it allows began today.

    The lock lasts until the caller's transaction ends: those who sign up at once are counted one by one.
    """
    policy = PlatformPolicy.objects.select_for_update().get(pk=1)
    if policy.trials_per_day is None:
        return
    with across_tenants():
        begun = organizations().filter(created_at__gte=Now() - timedelta(days=1), plan=policy.trial_plan_id)
        count = begun.count()
    if count >= policy.trials_per_day:
        raise TrialsUsedUp(
            f"At most {policy.trials_per_day} organizations may be signed up in 24 hours, and {count} were. "
            "Try again tomorrow, or ask the platform's operator."
        )


def organizations() -> "QuerySet[Organization]":
    """All organizations; to be read across tenants."""
    return Organization.objects.all()


def find_organization(organization_id: UUID) -> Organization:
    """An organization, whoever's. Raises `NotFound`."""
    with across_tenants():
        found = organizations().filter(pk=organization_id).first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


def assign_plan(organization_id: UUID, name: str, *, by: str) -> Organization:
    """Give an organization another plan. Raises `NotFound`."""
    plan = find_plan(name)
    found = find_organization(organization_id)
    with acting_for(organization_id):
        Organization.objects.filter(pk=organization_id).update(plan=plan.pk)
        record("organization.plan", found.public_id, before={"plan": found.plan}, after={"plan": plan.pk})
        bounds.tell_changed()
        note(by, "organization.plan", found.public_id, plan=plan.pk)
        found.refresh_from_db()
    return found
