"""What the clock does every day: rows whose time is over go with their objects, and a report says which."""

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db.models import ProtectedError, Q
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import DomainError
from kernel.ports.erasure import no_beat
from kernel.ports.retention import way_of
from kernel.tenancy.scope import acting_for
from tenants.compliance import copies, holdings, rules, work
from tenants.compliance.models import RetentionRun
from tenants.compliance.rules import Rule
from tenants.datasets.models import File
from tenants.organizations.models import HeldSubject
from tenants.organizations.services import holds

LEGAL_HOLD = "legal hold"
IN_USE = "something that is kept still refers to them"

log = structlog.get_logger()


@dataclass
class Outcome:
    """What became of a kind: how many went, how many were held back for which reason."""

    kind: str
    days: int
    removed: int = 0
    held_back: dict[str, int] = field(default_factory=dict)
    fault: str = ""

    def hold_back(self, reason: str, count: int) -> None:
        """Count rows that should have gone."""
        if count:
            self.held_back[reason] = self.held_back.get(reason, 0) + count


def enforce_everywhere() -> int:
    """Enforce the policies of every organization; answers in how many that went through."""
    return sum(_enforced(organization_id) for organization_id in work.living_organizations())


def enforce(organization_id: UUID) -> RetentionRun:
    """Enforce the policies of one organization. Safe to repeat; a store that is away stops one kind only."""
    with acting_for(organization_id):
        run: RetentionRun = RetentionRun.objects.create()
        chosen = [rule for rule in rules.in_force() if rule.days is not None]
    outcomes = [_retain(organization_id, rule) for rule in chosen]
    _expire_exports(organization_id)
    with acting_for(organization_id):
        report = [asdict(outcome) for outcome in outcomes]
        RetentionRun.objects.filter(pk=run.pk).update(report=report, finished_at=Now())
        run.refresh_from_db()
        removed = sum(outcome.removed for outcome in outcomes)
        if removed or any(outcome.held_back or outcome.fault for outcome in outcomes):
            record("retention.enforce", run.public_id, removed=removed)
    return run


def _enforced(organization_id: UUID) -> bool:
    try:
        enforce(organization_id)
    except Exception:
        log.exception("retention.interrupted", organization_id=str(organization_id))
        return False
    return True


def _retain(organization_id: UUID, rule: Rule) -> Outcome:
    assert rule.days is not None
    outcome = Outcome(rule.kind, rule.days)
    over = Q(**{f"{rule.keeping.since}__lt": Now() - timedelta(days=rule.days)})
    if rule.keeping.gone:
        over &= Q(**{f"{rule.keeping.gone}__isnull": True})
    with acting_for(organization_id):
        held = held_rows(rule.model)
        outcome.hold_back(LEGAL_HOLD, rule.model.objects.filter(over & held).count())
    try:
        for rows in holdings.batches(organization_id, rule.model, over & ~held, no_beat):
            _retire(organization_id, rows, outcome)
    except DomainError as fault:
        # Held between the look and the act, or a store that is away: the next day's run goes on.
        outcome.fault = fault.message
    return outcome


def held_rows(model: holdings.Model) -> Q:
    """The rows of a table that legal holds of the current organization keep."""
    if holds.in_force():
        return Q(pk__isnull=False)
    held = Q(pk__in=holds.held_ids(HeldSubject.FILE)) if model is File else Q(pk__in=())
    for person in holds.held_ids(HeldSubject.PERSON):
        held |= model.holding.about(person, holdings.address_of(person))
    return held


def _retire(organization_id: UUID, rows: list[Any], outcome: Outcome) -> None:
    if (retire := way_of(type(rows[0]))) is not None:
        with acting_for(organization_id):
            retire(rows)
        outcome.removed += len(rows)
        return
    try:
        outcome.removed += holdings.remove(organization_id, rows)
    except ProtectedError:
        if len(rows) == 1:
            outcome.hold_back(IN_USE, 1)
            return
        for row in rows:
            _retire(organization_id, [row], outcome)


def _expire_exports(organization_id: UUID) -> None:
    try:
        copies.expire_overdue(organization_id)
    except DomainError:
        log.exception("retention.exports_stay", organization_id=str(organization_id))
