"""What a worker does with deliveries: sends those that are due, and writes down how it went."""

import random
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from kernel.audit.log import record
from kernel.egress import client
from kernel.egress.errors import EgressFault
from kernel.errors import DomainError
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import acting_for
from kernel.webhooks.leases import lease, the_only_courier
from kernel.webhooks.models import DeliveryState, DisabledBecause, WebhookDelivery, WebhookEndpoint
from kernel.webhooks.signing import Message, signed

DISABLED = "kernel.webhook.disabled.v1"
TIMEOUT_SECONDS = 15.0
AT_ONCE = 64
# A run ends after this long; the schedule begins another.
RUN_SECONDS = 30.0
PAUSE_SECONDS = 0.25
MINUTE, HOUR = 60, 3600
BACKOFF_SECONDS = (
    5,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
JITTER = 0.1
DISABLED_AFTER = timedelta(days=5)
GONE = 410
HTTP_FAULT = "http_status"

log = structlog.get_logger()


@dataclass(frozen=True)
class Parcel:
    """A message with its address, ready to be sent without the database."""

    delivery_id: UUID
    organization_id: UUID
    url: str
    message: Message


@dataclass(frozen=True)
class Outcome:
    """How an attempt went: the status, or the code of the fault that left none."""

    status: int | None
    fault: str
    duration_milliseconds: int

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def send_due(run_seconds: float = RUN_SECONDS) -> int:
    """Send what is due until nothing is, many at the same time. Returns how many attempts were made.

    Does nothing while another process does it.
    """
    with the_only_courier() as alone:
        return _send_all(run_seconds) if alone else 0


def _send_all(run_seconds: float) -> int:
    ends = time.monotonic() + run_seconds
    flying: dict[Future[Outcome], Parcel] = {}
    sent = 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
        while True:
            leased = lease(AT_ONCE - len(flying)) if time.monotonic() < ends else []
            for parcel in filter(None, (_packed(*place) for place in leased)):
                flying[pool.submit(_send, parcel)] = parcel
            if not flying:
                return sent
            landed, _ = wait(flying, timeout=PAUSE_SECONDS, return_when=FIRST_COMPLETED)
            for future in landed:
                parcel = flying.pop(future)
                _settle(parcel.delivery_id, parcel.organization_id, future.result())
                sent += 1


def _packed(delivery_id: UUID, organization_id: UUID) -> Parcel | None:
    """What is to be sent. An organization whose key is away or destroyed stops nobody else's deliveries."""
    try:
        return _pack(delivery_id, organization_id)
    except DomainError as fault:
        _settle(delivery_id, organization_id, Outcome(None, fault.code, 0))
        return None


def _pack(delivery_id: UUID, organization_id: UUID) -> Parcel | None:
    with acting_for(organization_id):
        found: WebhookDelivery | None = (
            WebhookDelivery.objects.filter(pk=delivery_id).select_related("endpoint").first()
        )
        if found is None:
            return None
        now = datetime.now(UTC)
        message = signed(found.message_id, found.payload, found.endpoint.secrets_at(now), now)
        return Parcel(delivery_id, organization_id, found.endpoint.url, message)


def _send(parcel: Parcel) -> Outcome:
    began = time.monotonic()
    status, fault = None, ""
    try:
        answer = client.request(
            "POST",
            parcel.url,
            headers=parcel.message.headers,
            content=parcel.message.body,
            max_bytes=0,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        status = answer.status
        fault = "" if 200 <= status < 300 else HTTP_FAULT
    except EgressFault as refused:
        fault = refused.code
    except Exception:
        log.exception("webhook.sending_crashed", delivery_id=str(parcel.delivery_id))
        fault = "internal_error"
    return Outcome(status, fault, int((time.monotonic() - began) * 1000))


def _settle(delivery_id: UUID, organization_id: UUID, outcome: Outcome) -> None:
    """Write down how an attempt went, and when the next one is."""
    with acting_for(organization_id):
        rows = WebhookDelivery.objects.select_for_update()
        found: WebhookDelivery | None = rows.filter(pk=delivery_id).first()
        if found is None:
            return
        found.attempts += 1
        found.status_code = outcome.status
        found.fault = outcome.fault
        found.duration_milliseconds = outcome.duration_milliseconds
        found.lease_until = None
        _decide(found, outcome)
        found.save()
        _judge(found.endpoint_id, outcome)


def _decide(delivery: WebhookDelivery, outcome: Outcome) -> None:
    over = outcome.delivered or outcome.status == GONE or delivery.attempts > len(BACKOFF_SECONDS)
    if not over:
        pause = BACKOFF_SECONDS[delivery.attempts - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311
        delivery.next_attempt_at = Now() + timedelta(seconds=pause)
        return
    state = DeliveryState.DELIVERED if outcome.delivered else DeliveryState.FAILED
    delivery.state = state.value
    delivery.next_attempt_at = None
    delivery.finished_at = Now()


def _judge(endpoint_id: UUID, outcome: Outcome) -> None:
    """Note that the endpoint works, or since when it does not; give up on one that is gone or long dead."""
    rows = WebhookEndpoint.objects.filter(pk=endpoint_id)
    if outcome.delivered:
        rows.exclude(failing_since=None).update(failing_since=None)
        return
    rows.update(failing_since=Coalesce("failing_since", Now()))
    if outcome.status == GONE:
        _disable(rows, DisabledBecause.GONE)
    else:
        _disable(rows.filter(failing_since__lt=Now() - DISABLED_AFTER), DisabledBecause.FAILING)


def _disable(rows: "QuerySet[WebhookEndpoint]", because: DisabledBecause) -> None:
    changed = rows.filter(enabled=True).first()
    if changed is None:
        return
    WebhookEndpoint.objects.filter(pk=changed.pk).update(
        enabled=False, disabled_because=because.value, updated_at=Now()
    )
    record("webhook.disable", changed.public_id, host=changed.host, because=because.value)
    emit(Happening(DISABLED, aggregate_id=changed.pk, resource="webhook", resource_id=changed.public_id))
