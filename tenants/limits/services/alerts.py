"""Spend alerts: whom to tell by e-mail when a month's spend passes an amount."""

from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet

from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from tenants.limits.kinds import MAX_VALUE, Kind
from tenants.limits.models import SpendAlert
from tenants.limits.services import thresholds

MAX_RECIPIENTS = 20
MAX_ALERTS = 100
MAX_PREFIX_CHARACTERS = 200


@dataclass(frozen=True)
class AlertWish:
    """An alert as somebody wants it; `threshold_microunits` in millionths of a dollar."""

    threshold_microunits: int
    recipients: tuple[str, ...]
    subject_prefix: str


def alerts_of(project_id: UUID | None) -> "QuerySet[SpendAlert]":
    """The alerts of a project, or of the whole organization."""
    rows: QuerySet[SpendAlert] = SpendAlert.objects.filter(project_id=project_id)
    return rows


def find_alert(alert_id: UUID, project_id: UUID | None) -> SpendAlert:
    """One alert. Raises `NotFound`."""
    found = alerts_of(project_id).filter(pk=alert_id).first()
    if found is None:
        raise NotFound("There is no such spend alert.", param="alert_id")
    return found


def create_alert(wish: AlertWish, project_id: UUID | None) -> SpendAlert:
    """Make an alert; where the amount is passed already, it is told at once. Raises `InvalidRequest`."""
    _check(wish)
    if alerts_of(project_id).count() >= MAX_ALERTS:
        raise InvalidRequest(f"There are {MAX_ALERTS} alerts already; delete one first.")
    alert: SpendAlert = SpendAlert.objects.create(project_id=project_id, **_values(wish))
    record("spend_alert.create", alert.public_id, threshold_microunits=wish.threshold_microunits)
    thresholds.review({Kind.SPEND_MICROUNITS_PER_MONTH})
    return alert


def change_alert(alert: SpendAlert, wish: AlertWish) -> SpendAlert:
    """Replace what an alert says; a higher amount may be told again this month. Raises `InvalidRequest`."""
    _check(wish)
    before = alert.threshold_microunits
    SpendAlert.objects.filter(pk=alert.pk).update(**_values(wish), told_for=None)
    alert.refresh_from_db()
    record(
        "spend_alert.update",
        alert.public_id,
        before={"threshold_microunits": before},
        after={"threshold_microunits": alert.threshold_microunits},
    )
    thresholds.review({Kind.SPEND_MICROUNITS_PER_MONTH})
    return alert


def delete_alert(alert: SpendAlert) -> None:
    """Tell nobody any more."""
    SpendAlert.objects.filter(pk=alert.pk).delete()
    record("spend_alert.delete", alert.public_id)


def _check(wish: AlertWish) -> None:
    if not 0 <= wish.threshold_microunits <= MAX_VALUE:
        raise InvalidRequest("'threshold_amount' is too large.", param="threshold_amount")
    if not 1 <= len(wish.recipients) <= MAX_RECIPIENTS:
        raise InvalidRequest(
            f"'recipients' must be 1 to {MAX_RECIPIENTS} addresses.", param="notification_channel.recipients"
        )
    for address in wish.recipients:
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidRequest(
                f"'{address[:100]}' is no e-mail address.", param="notification_channel.recipients"
            ) from None
    if len(wish.subject_prefix) > MAX_PREFIX_CHARACTERS or (
        wish.subject_prefix and not wish.subject_prefix.isprintable()
    ):
        raise InvalidRequest(
            f"'subject_prefix' must be one line of at most {MAX_PREFIX_CHARACTERS} characters.",
            param="notification_channel.subject_prefix",
        )


def _values(wish: AlertWish) -> dict[str, object]:
    return {
        "threshold_microunits": wish.threshold_microunits,
        "recipients": list(wish.recipients),
        "subject_prefix": wish.subject_prefix,
    }
