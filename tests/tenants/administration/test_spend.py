"""Spend limits and alerts with the official client, against the published schema."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail

from kernel.events.models import OutboxEvent
from tenants.administration import notices
from tenants.limits.models import Price, SpendAlert
from tenants.limits.services.spend import Charge, charge
from tests.cast import Person
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

LIMIT: dict[str, Any] = {"threshold_amount": 500, "currency": "USD", "interval": "month"}
CHANNEL = {"type": "email", "recipients": ["money@people.example"], "subject_prefix": "[spend]"}
ALERT: dict[str, Any] = {**LIMIT, "notification_channel": CHANNEL}


@pytest.fixture
def priced(stores: Any) -> Price:
    """A model of which a million tokens cost a dollar."""
    price, _ = Price.objects.get_or_create(
        model="priced",
        defaults={
            "input_microunits_per_million_tokens": 1_000_000,
            "output_microunits_per_million_tokens": 1_000_000,
        },
    )
    return price


def spend(person: Person, dollars: int) -> None:
    one = Charge(
        datetime.now(UTC), person.project.pk, person.user.pk, None, "priced", "", dollars * 1_000_000, 0
    )
    with person.acting():
        charge([one])


def test_the_official_client_sets_reads_and_deletes_the_organizations_spend_limit(
    owner: Person, priced: Price
) -> None:
    api = admin_client(owner).admin.organization.spend_limit
    assert api.update(**LIMIT).threshold_amount == 500
    assert api.retrieve().enforcement.status == "inactive"
    spend(owner, 5)
    assert api.retrieve().enforcement.status == "enforcing"
    conforms("OrganizationSpendLimitResource", owner.browser.get("/v1/organization/spend_limit").json())
    assert api.delete().deleted
    assert refused(owner.browser.get("/v1/organization/spend_limit"), 404, "not_found")


def test_a_projects_spend_limit_is_its_own(owner: Person, stranger: Person) -> None:
    api = admin_client(owner).admin.organization.projects.spend_limit
    project = owner.project.public_id
    assert api.update(project, **LIMIT).object == "project.spend_limit"
    address = f"/v1/organization/projects/{project}/spend_limit"
    conforms("ProjectSpendLimitResource", owner.browser.get(address).json())
    assert refused(owner.browser.get("/v1/organization/spend_limit"), 404, "not_found")
    assert refused(stranger.browser.get(address), 404, "not_found")
    assert api.delete(project).deleted


def test_the_official_client_runs_spend_alerts(owner: Person, stranger: Person) -> None:
    api = admin_client(owner).admin.organization.spend_alerts
    made = api.create(**ALERT)
    conforms("OrganizationSpendAlertListResource", owner.browser.get("/v1/organization/spend_alerts").json())
    assert [alert.id for alert in api.list()] == [made.id]
    changed = api.update(made.id, **{**ALERT, "threshold_amount": 700})
    assert changed.threshold_amount == 700
    address = f"/v1/organization/spend_alerts/{made.id}"
    assert owner.browser.get(address).status_code == 200
    assert refused(stranger.browser.get(address), 404, "not_found")
    assert api.delete(made.id).deleted
    assert refused(owner.browser.get(address), 404, "not_found")


def test_a_projects_alert_is_not_the_organizations(owner: Person) -> None:
    project = owner.project.public_id
    made = admin_client(owner).admin.organization.projects.spend_alerts.create(project, **ALERT)
    own = owner.browser.get(f"/v1/organization/projects/{project}/spend_alerts").json()
    conforms("ProjectSpendAlertListResource", own)
    assert refused(owner.browser.get(f"/v1/organization/spend_alerts/{made.id}"), 404, "not_found")


def test_an_alert_is_mailed_once_when_its_amount_is_passed(
    owner: Person, priced: Price, settings_with: Any
) -> None:
    made = call(owner, "post", "/v1/organization/spend_alerts", ALERT).json()
    spend(owner, 4)
    assert told(owner) == []
    spend(owner, 1)
    spend(owner, 1)
    assert told(owner) == ["tenants.spend_alert.reached.v1"]
    with owner.acting():
        alert = SpendAlert.objects.get()
    with settings_with(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        notices.send_spend_alert(owner.organization.pk, alert.pk)
    (message,) = mail.outbox
    assert message.to == CHANNEL["recipients"]
    assert message.subject.startswith("[spend] ")
    assert "5.00 USD" in message.subject
    assert alert.public_id == made["id"]


def told(person: Person) -> list[str]:
    with person.acting():
        found = OutboxEvent.objects.filter(name="tenants.spend_alert.reached.v1")
        return list(found.values_list("name", flat=True))


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"threshold_amount": -1}, "threshold_amount"),
        ({"currency": "EUR"}, "currency"),
        ({"interval": "year"}, "interval"),
        ({"notification_channel": {**CHANNEL, "recipients": []}}, "notification_channel.recipients"),
        ({"notification_channel": {**CHANNEL, "recipients": ["nobody"]}}, "notification_channel.recipients"),
        (
            {"notification_channel": {**CHANNEL, "subject_prefix": "a\nBcc: b"}},
            "notification_channel.subject_prefix",
        ),
    ],
)
def test_an_alert_that_makes_no_sense_is_refused_by_name(
    owner: Person, changes: dict[str, Any], param: str
) -> None:
    answer = call(owner, "post", "/v1/organization/spend_alerts", {**ALERT, **changes})
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["param"] == param
