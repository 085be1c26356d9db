"""The audit log over OpenAI's administration API: whole, filtered, in pages, and nobody else's."""

import time
from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.permissions import MATRIX, Permission, Role
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import made
from tests.tenants.administration.offices import admin_client, call, queries_of, refused
from tests.tenants.administration.published import conforms
from tests.tenants.administration.test_service_accounts import made as made_account

AUDIT_LOGS = "/v1/organization/audit_logs"
PROJECTS = "/v1/organization/projects"


def events(person: Person, **query: Any) -> list[dict[str, Any]]:
    """What the log tells, newest first; lists and ranges are given as OpenAI's client sends them."""
    answer = person.browser.get(
        AUDIT_LOGS, {name.replace("__", "[") + "]" * ("__" in name): value for name, value in query.items()}
    )
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def types(person: Person, **query: Any) -> list[str]:
    return [event["type"] for event in events(person, **query)]


def test_the_official_client_reads_the_log(owner: Person) -> None:
    project = call(owner, "post", PROJECTS, {"name": "Research"}).json()
    call(owner, "post", f"{PROJECTS}/{project['id']}", {"name": "Play"})
    call(owner, "post", f"{PROJECTS}/{project['id']}/archive")
    logs = admin_client(owner).admin.organization.audit_logs
    found = list(logs.list(resource_ids=[project["id"]], event_types=["project.created", "project.archived"]))
    assert [event.type for event in found] == ["project.archived", "project.created"]
    created = found[1]
    assert created.project_created is not None
    assert created.project_created.data is not None
    assert created.project_created.data.name == "Research"
    assert created.actor is not None
    assert created.actor.session is not None
    assert created.actor.session.user is not None
    assert created.actor.session.user.email == owner.user.email
    assert created.actor.session.ip_address == "127.0.0.1"
    assert created.project is not None
    assert created.project.name == "Play"
    assert list(logs.list(effective_at={"gt": int(time.time()) + 60})) == []


def test_events_with_a_type_of_openais_are_what_openai_publishes(owner: Person) -> None:
    teammate = new_person(Role.VIEWER, joining=owner)
    key = made(owner)
    account = made_account(owner)
    one = f"{PROJECTS}/{owner.project.public_id}"
    call(owner, "post", one, {"name": "Renamed"})
    call(owner, "delete", f"{one}/service_accounts/{account['id']}")
    call(owner, "post", "/v1/organization/data_retention", {"retention_type": "zero_data_retention"})
    call(owner, "delete", f"/v1/organization/users/{teammate.user.public_id}")
    answer = call(owner, "get", f"{AUDIT_LOGS}?limit=100").json()
    published = {
        "api_key.created",
        "api_key.deleted",
        "service_account.created",
        "service_account.deleted",
        "project.created",
        "project.updated",
        "organization.updated",
        "role.assignment.created",
        "user.added",
        "user.deleted",
    }
    assert published <= {event["type"] for event in answer["data"]}
    of_openai = [event for event in answer["data"] if event["type"] in published]
    conforms("ListAuditLogsResponse", {**answer, "data": of_openai})
    created = next(
        e
        for e in answer["data"]
        if e["type"] == "api_key.created" and e["api_key.created"]["id"] == key["id"]
    )
    assert created["api_key.created"]["data"]["scopes"] == key["permissions"]
    assert key["secret"] not in str(answer)


def test_what_has_no_type_of_openais_is_told_under_its_own_name(owner: Person) -> None:
    [founded] = events(owner, event_types__=["organization.create"])
    assert founded["type"] == "organization.create"
    assert founded["organization.create"]["id"] == owner.organization.public_id
    assert founded["actor"] is None


def test_a_refusal_is_told_with_who_was_refused_what(owner: Person, teammate: Person) -> None:
    assert call(teammate, "get", AUDIT_LOGS).status_code == 403
    [denied] = events(owner, event_types__=["access.denied"])
    assert denied["outcome"] == "denied"
    assert denied["access.denied"] == {"permission": "audit.read", "address": AUDIT_LOGS}
    assert denied["actor"]["session"]["user"]["id"] == teammate.user.public_id


def test_the_log_is_filtered_by_each_of_its_filters(owner: Person) -> None:
    account = made_account(owner)
    admin = new_person(Role.ADMIN, joining=owner)
    call(admin, "post", PROJECTS, {"name": "Research"})
    by_admin = {"event_types__": ["project.created"]}
    assert len(events(owner, **by_admin)) == 2
    assert types(owner, actor_ids__=[admin.user.public_id]) == ["project.created"]
    assert types(owner, actor_emails__=[admin.user.email.upper()]) == ["project.created"]
    assert set(types(owner, resource_ids__=[account["id"]])) == {"service_account.created"}
    scoped = types(owner, project_ids__=[owner.project.public_id], event_types__=["api_key.created"])
    assert set(scoped) == {"api_key.created"}
    assert types(owner, tenant_only="true") == []
    now = int(time.time())
    assert types(owner, effective_at__gt=now + 5) == types(owner, effective_at__lt=now - 3600) == []
    whole = types(owner, limit=100)
    assert types(owner, effective_at__gte=now - 3600, effective_at__lte=now + 5, limit=100) == whole
    newest = events(owner, limit=1)[0]["effective_at"]
    assert newest not in [
        event["effective_at"] for event in events(owner, effective_at__lt=newest, limit=100)
    ]
    assert newest not in [event["effective_at"] for event in events(owner, effective_at__gt=newest)]
    assert events(owner, effective_at__gte=newest)[0]["effective_at"] == newest


def test_a_service_account_is_found_by_what_its_keys_did(owner: Person) -> None:
    account = made_account(owner)
    with owner.acting():
        AuditEntry.objects.create(
            actor=account["api_key"]["id"], action="file.delete", target="file-1", outcome="allowed"
        )
    [event] = events(owner, actor_ids__=[account["id"]])
    assert event["type"] == "resource.deleted"
    assert event["actor"]["type"] == "api_key"
    assert event["actor"]["api_key"]["service_account"]["id"] == account["id"]


def test_the_log_is_cut_into_pages_both_ways(owner: Person) -> None:
    for number in range(4):
        call(owner, "post", PROJECTS, {"name": f"Project {number}"})
    whole = [event["id"] for event in events(owner, limit=100)]
    first = call(owner, "get", f"{AUDIT_LOGS}?limit=2").json()
    assert ([event["id"] for event in first["data"]], first["has_more"]) == (whole[:2], True)
    second = [event["id"] for event in events(owner, limit=2, after=first["last_id"])]
    assert second == whole[2:4]
    before = call(owner, "get", f"{AUDIT_LOGS}?limit=1&before={second[0]}").json()
    assert ([event["id"] for event in before["data"]], before["has_more"]) == ([whole[1]], True)
    logs = admin_client(owner).admin.organization.audit_logs
    assert [event.id for event in logs.list(limit=3)][-len(whole) :] == whole


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("effective_at[gt]=yesterday", "effective_at[gt]"),
        ("effective_at[gt]=99999999999999", "effective_at[gt]"),
        ("tenant_only=perhaps", "tenant_only"),
        ("&".join(["actor_ids[]=x"] * 101), "actor_ids"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(owner: Person, query: str, param: str) -> None:
    answer = call(owner, "get", f"{AUDIT_LOGS}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_strangers_events_are_not_there_and_their_ids_find_nothing(owner: Person, stranger: Person) -> None:
    assert types(owner, actor_ids__=[owner.user.public_id]) == []
    call(owner, "post", PROJECTS, {"name": "Research"})
    whole = call(stranger, "get", f"{AUDIT_LOGS}?limit=100").content.decode()
    for foreign in (owner.user.public_id, owner.project.public_id, owner.user.email):
        assert foreign not in whole
    assert len(events(owner, actor_ids__=[owner.user.public_id])) == 1
    for filters in (
        {"actor_ids__": [owner.user.public_id]},
        {"actor_emails__": [owner.user.email]},
        {"resource_ids__": [owner.organization.public_id]},
        {"project_ids__": [owner.project.public_id]},
    ):
        assert events(stranger, **filters) == []


@pytest.mark.parametrize("role", list(Role))
def test_only_roles_with_the_permission_read_the_log(owner: Person, role: Role) -> None:
    member = new_person(role, joining=owner)
    expected = 200 if Permission.AUDIT_READ in MATRIX[role] else 403
    assert call(member, "get", AUDIT_LOGS).status_code == expected


def test_a_page_costs_the_same_for_many_events_as_for_few(owner: Person) -> None:
    before = queries_of(owner, f"{AUDIT_LOGS}?limit=1")
    for _ in range(3):
        new_person(Role.VIEWER, joining=owner)
    assert queries_of(owner, f"{AUDIT_LOGS}?limit=100") <= before + 2
    assert refused(call(owner, "get", f"{AUDIT_LOGS}?after=x"), 404, "not_found")
