"""Support access: by consent only, for a time, reading only, recorded, and gone when it is withdrawn."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client

from kernel.audit.models import AuditEntry
from tenants.organizations.models import SupportAccess
from tests.cast import Person, new_person
from tests.tenants.administration.offices import JSON, call, refused

CONSENT: dict[str, Any] = {"reason": "Our jobs fail since Monday", "hours": 24}


@pytest.fixture
def desk(stores: Any) -> Client:
    """An operator's browser."""
    person = new_person()
    call_command("make_operator", person.user.email, stdout=StringIO())
    person.user.refresh_from_db()
    return person.browser


def visit(desk: Client, person: Person) -> Any:
    return desk.post(f"/api/v1/operator/organizations/{person.organization.public_id}/support")


def consent(person: Person) -> str:
    answer = call(person, "post", "/api/v1/support-access", CONSENT)
    assert answer.status_code == 201, answer.content
    found: str = answer.json()["id"]
    return found


def test_without_consent_an_operator_does_not_get_in(desk: Client, owner: Person) -> None:
    assert refused(visit(desk, owner), 403, "no_support_access")
    assert desk.get("/api/v1/organization").json()["id"] != owner.organization.public_id


def test_with_consent_an_operator_reads_how_it_is_run_but_no_content(desk: Client, owner: Person) -> None:
    consent(owner)
    assert visit(desk, owner).status_code == 200
    project = owner.project.public_id
    assert desk.get(f"/v1/organization/projects/{project}").json()["id"] == project
    assert desk.get("/api/v1/limits").status_code == 200
    for address in ("/v1/files", "/api/v1/conversations"):
        assert refused(desk.get(address), 403, "permission_denied")
    changed = desk.put(
        "/api/v1/limits",
        {"scope": "organization", "kind": "storage_bytes", "value": 1},
        content_type=JSON,
    )
    assert refused(changed, 403, "permission_denied")


def test_every_request_of_the_visit_is_in_the_organizations_log(desk: Client, owner: Person) -> None:
    access = consent(owner)
    visit(desk, owner)
    desk.get("/api/v1/limits")
    desk.get("/v1/organization/projects")
    with owner.acting():
        found = list(AuditEntry.objects.filter(action="support.request").order_by("pk"))
    assert [entry.details["path"] for entry in found] == ["/api/v1/limits", "/v1/organization/projects"]
    assert {entry.target for entry in found} == {access}
    assert {entry.actor for entry in found} != {owner.user.public_id}


def test_consent_withdrawn_or_expired_ends_the_visit_at_once(desk: Client, owner: Person) -> None:
    access = consent(owner)
    visit(desk, owner)
    assert desk.get("/api/v1/limits").status_code == 200
    assert owner.browser.delete(f"/api/v1/support-access/{access}").json()["revoked_at"]
    assert refused(desk.get("/api/v1/limits"), 403, "no_support_access")
    consent(owner)
    assert desk.get("/api/v1/limits").status_code == 200
    with owner.acting():
        SupportAccess.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert refused(desk.get("/api/v1/limits"), 403, "no_support_access")
    left = desk.delete(f"/api/v1/operator/organizations/{owner.organization.public_id}/support")
    assert left.status_code == 204
    assert desk.get("/api/v1/organization").status_code == 200


def test_a_visit_opens_no_other_organization(desk: Client, owner: Person, stranger: Person) -> None:
    consent(owner)
    visit(desk, owner)
    theirs = f"/v1/organization/projects/{stranger.project.public_id}"
    assert stranger.browser.get(theirs).status_code == 200
    assert refused(desk.get(theirs), 404, "not_found")
    assert refused(visit(desk, stranger), 403, "no_support_access")


def test_who_may_not_administer_cannot_consent_and_a_stranger_finds_no_consent(
    owner: Person, teammate: Person, stranger: Person
) -> None:
    access = consent(owner)
    assert refused(call(teammate, "post", "/api/v1/support-access", CONSENT), 403, "permission_denied")
    address = f"/api/v1/support-access/{access}"
    assert owner.browser.get(address).status_code == 200
    assert refused(stranger.browser.get(address), 404, "not_found")
    assert refused(stranger.browser.delete(address), 404, "not_found")


@pytest.mark.parametrize("change", [{"hours": 73}, {"hours": 0}, {"reason": ""}, {"minutes": 5}])
def test_a_consent_has_a_reason_and_at_most_72_hours(owner: Person, change: dict[str, Any]) -> None:
    assert call(owner, "post", "/api/v1/support-access", CONSENT | change).status_code == 400


def test_a_member_who_is_no_operator_cannot_use_the_door(owner: Person, stranger: Person) -> None:
    consent(owner)
    assert refused(visit(stranger.browser, owner), 403, "permission_denied")
