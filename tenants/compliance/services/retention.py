"""How long an organization keeps each kind of data: its own choice within the platform's bounds."""

from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.ids import render
from kernel.tenancy.scope import current_organization_id
from tenants.compliance.errors import RetentionOutOfBounds
from tenants.compliance.models import RetentionPolicy
from tenants.compliance.rules import Rule, rule_of


def choose_days(kind: str, days: int | None) -> Rule:
    """Keep a kind for so many days from now on. Raises `KindUnknown`, `RetentionOutOfBounds`."""
    before = rule_of(kind)
    keeping = before.keeping
    if not keeping.allows(days):
        most = f"{keeping.at_most} days" if keeping.at_most else "without end (null)"
        raise RetentionOutOfBounds(
            f"'{kind}' are kept for {keeping.at_least} days at least and {most} at most.", param="days"
        )
    RetentionPolicy.objects.update_or_create(kind=kind, defaults={"days": days, "updated_at": Now()})
    _record(kind, before, rule_of(kind))
    return rule_of(kind)


def forget_choice(kind: str) -> Rule:
    """Keep a kind as the platform does. Raises `KindUnknown`."""
    before = rule_of(kind)
    RetentionPolicy.objects.filter(kind=kind).delete()
    _record(kind, before, rule_of(kind))
    return rule_of(kind)


def _record(kind: str, before: Rule, after: Rule) -> None:
    if (before.days, before.is_own) != (after.days, after.is_own):
        target = render("org", current_organization_id())
        record("retention.update", target, kind=kind, before=before.days, after=after.days)
