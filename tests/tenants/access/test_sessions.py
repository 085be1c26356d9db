"""Signing in, and what a browser session stands for."""

from typing import Any

import pytest
from django.test import Client

from kernel.audit.models import AuditEntry
from kernel.errors import InvalidRequest
from tenants.access.permissions import Role
from tenants.access.services import people
from tenants.organizations.services.projects import start_project
from tests.cast import HOST, PASSWORD, Person, new_person

JSON = "application/json"


def sign_in(email: str, password: str, **form: str) -> tuple[Client, Any]:
    client = Client(SERVER_NAME=HOST)
    return client, client.post("/accounts/sign-in", {"login": email, "password": password, **form})


def test_a_person_signs_in_and_sees_where_they_are(owner: Person) -> None:
    client, answer = sign_in(owner.user.email.upper(), PASSWORD)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    session = client.get("/api/v1/session").json()
    assert session["user"]["email"] == owner.user.email
    assert session["organization"]["id"] == owner.organization.public_id
    assert session["project"]["id"] == owner.project.public_id
    assert session["role"] == "owner"
    with owner.acting():
        assert AuditEntry.objects.filter(action="session.sign_in", actor=owner.user.public_id).exists()


def test_a_wrong_password_and_an_unknown_address_look_the_same(owner: Person) -> None:
    _, wrong = sign_in(owner.user.email, "not the password")
    _, unknown = sign_in("nobody@people.example", "not the password")
    assert wrong.status_code == unknown.status_code == 200
    assert b"do not match" in wrong.content
    assert b"do not match" in unknown.content


def test_signing_in_does_not_lead_to_another_site(owner: Person) -> None:
    _, answer = sign_in(owner.user.email, PASSWORD, next="https://evil.example/")
    assert answer["Location"] == "/"


def test_nobody_gets_the_console_or_the_api_without_signing_in(stores: Any) -> None:
    client = Client(SERVER_NAME=HOST)
    assert client.get("/training?x=1")["Location"] == "/accounts/sign-in?next=%2Ftraining%3Fx%3D1"
    answer = client.get("/api/v1/session")
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_a_call_with_a_cookie_needs_its_csrf_token(owner: Person) -> None:
    client = Client(SERVER_NAME=HOST, enforce_csrf_checks=True)
    client.force_login(owner.user, backend="tenants.access.backends.EmailBackend")
    answer = client.post("/api/v1/api-keys", {"name": "x"}, content_type=JSON)
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["error"]["message"]


def test_signing_out_ends_the_session(owner: Person) -> None:
    browser = owner.browser
    assert browser.post("/accounts/sign-out").status_code == 302
    assert browser.get("/api/v1/session").status_code == 401


def test_a_person_switches_between_their_projects(owner: Person) -> None:
    with owner.acting():
        second = start_project("Second project")
    browser = owner.browser
    answer = browser.put("/api/v1/session", {"project_id": second.public_id}, content_type=JSON)
    assert answer.status_code == 200
    assert answer.json()["project"]["id"] == second.public_id
    assert browser.get("/api/v1/session").json()["project"]["id"] == second.public_id


def test_a_member_sees_only_the_projects_opened_to_them(owner: Person, teammate: Person) -> None:
    with owner.acting():
        closed = start_project("Closed project")
    session = teammate.browser.get("/api/v1/session").json()
    assert [project["id"] for project in session["projects"]] == [owner.project.public_id]
    refused = teammate.browser.put("/api/v1/session", {"project_id": closed.public_id}, content_type=JSON)
    assert refused.status_code == 404
    header = {"OpenAI-Project": closed.public_id}
    assert teammate.browser.get("/v1/files", headers=header).status_code in (403, 404)
    with owner.acting():
        people.open_project_to(teammate.user, closed)
    assert teammate.browser.get("/v1/files", headers=header).status_code == 200


def test_a_person_of_two_organizations_switches_and_never_mixes_them(owner: Person, stranger: Person) -> None:
    with stranger.acting():
        people.add_member(owner.user, Role.OWNER)
    browser = owner.browser
    browser.put("/api/v1/session", {"organization_id": stranger.organization.public_id}, content_type=JSON)
    session = browser.get("/api/v1/session").json()
    assert session["organization"]["id"] == stranger.organization.public_id
    assert session["project"]["id"] == stranger.project.public_id


def test_nobody_switches_into_a_foreign_organization(owner: Person, stranger: Person) -> None:
    for choice in (
        {"organization_id": stranger.organization.public_id},
        {"project_id": stranger.project.public_id},
    ):
        browser = owner.browser
        assert browser.put("/api/v1/session", choice, content_type=JSON).status_code == 404
        assert browser.get("/api/v1/session").json()["organization"]["id"] == owner.organization.public_id


@pytest.mark.parametrize("password", ["short", "password1234", ""])
def test_a_weak_password_is_refused(stores: Any, password: str) -> None:
    with pytest.raises(InvalidRequest):
        people.register_user("weak@people.example", password)


def test_one_address_is_one_person(stores: Any) -> None:
    person = new_person()
    with pytest.raises(InvalidRequest):
        people.register_user(person.user.email.upper(), PASSWORD)
