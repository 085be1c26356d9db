"""The platform's operator: plans, prices, suspension; what they may not see; and nobody else's business."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from kernel.audit.models import AuditEntry
from tenants.access.models import User
from tenants.limits.models import PlatformEntry, PlatformPolicy
from tenants.limits.services.operation import TrialsUsedUp, require_a_trial
from tests.cast import Person, new_person
from tests.tenants.administration.offices import call, refused

OPERATOR = "/api/v1/operator"


@pytest.fixture
def operator(stores: Any) -> Person:
    """Runs the platform, and owns an organization of their own."""
    person = new_person()
    call_command("make_operator", person.user.email, stdout=StringIO())
    person.user.refresh_from_db()
    return person


def organization_of(person: Person) -> str:
    return f"{OPERATOR}/organizations/{person.organization.public_id}"


def test_only_an_operator_signed_in_in_a_browser_gets_in(operator: Person, owner: Person) -> None:
    for address in ("plans", "prices", "policy", "organizations"):
        assert operator.browser.get(f"{OPERATOR}/{address}").status_code == 200
        assert refused(owner.browser.get(f"{OPERATOR}/{address}"), 403, "permission_denied")
        assert operator.program.get(f"{OPERATOR}/{address}").status_code == 401


def test_the_command_knows_only_registered_people_and_takes_it_back(operator: Person) -> None:
    with pytest.raises(CommandError):
        call_command("make_operator", "nobody@people.example")
    call_command("make_operator", operator.user.email, "--revoke", stdout=StringIO())
    assert not User.objects.get(pk=operator.user.pk).is_operator
    assert refused(operator.browser.get(f"{OPERATOR}/plans"), 403, "permission_denied")


def test_an_operator_who_belongs_to_no_organization_can_work(operator: Person) -> None:
    with operator.acting():
        operator.organization.state = "closed"
        operator.organization.save(update_fields=["state"])
    assert operator.browser.get(f"{OPERATOR}/plans").status_code == 200


def test_a_plan_is_made_assigned_and_in_force_at_once(operator: Person, owner: Person) -> None:
    plan = {"title": "Small", "seats": 3, "limits": {"requests_per_minute": 5}}
    name = f"small-{owner.user.pk.hex[:8]}"
    assert call(operator, "put", f"{OPERATOR}/plans/{name}", plan).status_code == 200
    assert operator.browser.get(f"{OPERATOR}/plans/{name}").json()["seats"] == 3
    changed = call(operator, "patch", organization_of(owner), {"plan": name})
    assert changed.json()["plan"] == name
    limits = owner.browser.get("/api/v1/limits").json()
    assert limits["seats"] == 3
    assert [(one["kind"], one["value"]) for one in limits["effective"]] == [("requests_per_minute", 5)]
    with owner.acting():
        entry = AuditEntry.objects.get(action="organization.plan")
    assert entry.actor == operator.user.public_id
    assert entry.details == {"before": {"plan": "free"}, "after": {"plan": name}}
    assert PlatformEntry.objects.filter(action="organization.plan", actor=entry.actor).exists()


def test_a_plan_with_an_unknown_kind_of_limit_is_refused_by_name(operator: Person) -> None:
    body = {"title": "Odd", "seats": None, "limits": {"coffees": 1}}
    answer = call(operator, "put", f"{OPERATOR}/plans/odd", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limits"


def test_a_model_has_one_price_at_a_time(operator: Person) -> None:
    body = {
        "model": f"model-{operator.user.pk.hex[:12]}",
        "input_microunits_per_million_tokens": 50_000,
        "output_microunits_per_million_tokens": 100_000,
        "valid_from": "2026-01-01T00:00:00Z",
    }
    assert call(operator, "post", f"{OPERATOR}/prices", body).status_code == 201
    assert refused(call(operator, "post", f"{OPERATOR}/prices", body), 409, "price_taken")
    other = call(operator, "post", f"{OPERATOR}/prices", {**body, "currency": "EUR"})
    assert other.json()["error"]["param"] == "currency"


def test_the_sign_up_mode_and_the_trials_of_a_day_are_the_operators(operator: Person) -> None:
    before = operator.browser.get(f"{OPERATOR}/policy").json()
    try:
        changed = call(
            operator, "patch", f"{OPERATOR}/policy", {"sign_up_mode": "invite_only", "trials_per_day": 0}
        )
        assert changed.json() == {**before, "sign_up_mode": "invite_only", "trials_per_day": 0}
        with pytest.raises(TrialsUsedUp):
            trial()
    finally:
        PlatformPolicy.objects.update(
            sign_up_mode=before["sign_up_mode"], trials_per_day=before["trials_per_day"]
        )
    unknown = call(operator, "patch", f"{OPERATOR}/policy", {"trial_plan": "no-such"})
    assert refused(unknown, 404, "not_found")


def trial() -> None:
    with transaction.atomic():
        require_a_trial()


def test_a_suspended_organization_can_read_its_account_and_state_and_nothing_else(
    operator: Person, owner: Person, stranger: Person
) -> None:
    assert owner.browser.get("/v1/files").status_code == 200
    suspended = call(operator, "post", f"{organization_of(owner)}/suspension", {"reason": "Unpaid bills"})
    assert suspended.json()["state"] == "suspended"
    state = owner.browser.get("/api/v1/organization").json()
    assert (state["state"], state["state_reason"]) == ("suspended", "Unpaid bills")
    assert owner.browser.get("/api/v1/session").status_code == 200
    for person in (owner.browser, owner.program):
        answer = person.get("/v1/files")
        assert refused(answer, 403, "organization_suspended")
        assert "Unpaid bills" in answer.json()["error"]["message"]
    assert refused(
        call(owner, "patch", "/api/v1/organization", {"name": "New"}), 403, "organization_suspended"
    )
    assert stranger.browser.get("/v1/files").status_code == 200
    assert operator.browser.delete(f"{organization_of(owner)}/suspension").status_code == 200
    assert owner.browser.get("/v1/files").status_code == 200


def test_a_suspension_needs_a_reason_and_an_active_organization(operator: Person, owner: Person) -> None:
    address = f"{organization_of(owner)}/suspension"
    assert call(operator, "post", address, {"reason": " "}).status_code == 400
    assert refused(operator.browser.delete(address), 409, "organization_state")
    assert call(operator, "post", address, {"reason": "Abuse"}).status_code == 200
    assert refused(call(operator, "post", address, {"reason": "Abuse"}), 409, "organization_state")


def test_the_operator_sees_what_an_organization_is_and_nothing_that_it_has(
    operator: Person, owner: Person
) -> None:
    seen = operator.browser.get(organization_of(owner)).json()
    assert set(seen) == {"id", "name", "state", "state_reason", "plan", "created_at", "erase_at"}
    project = owner.project.public_id
    assert owner.browser.get(f"/v1/organization/projects/{project}").status_code == 200
    assert refused(operator.browser.get(f"/v1/organization/projects/{project}"), 404, "not_found")
    assert refused(operator.browser.get(f"{OPERATOR}/organizations/org-{'0' * 32}"), 404, "not_found")
