"""Invitations: made, e-mailed, accepted once and in time, and never past the plan's seats."""

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import openai
import pytest
from django.core import mail
from django.db import connections
from django.db.models.functions import Now
from django.test import Client, override_settings

from kernel.audit.models import AuditEntry
from kernel.events.models import OutboxEvent
from tenants.access.addresses import normalise
from tenants.access.models import Invitation, Member, RoleAssignment, User
from tenants.access.permissions import Role
from tenants.access.project_roles import BUILT_IN, ProjectRole
from tenants.access.services import invitations, members, people
from tenants.administration import mails
from tenants.limits.models import Plan
from tenants.organizations.models import Organization, OrganizationState
from tenants.organizations.services.projects import start_project
from tests.cast import HOST, PASSWORD, Person, new_person
from tests.tenants.administration.offices import JSON, admin_client, call, refused
from tests.tenants.administration.published import conforms

INVITES, ACCEPT = "/v1/organization/invites", "/api/v1/invitations/accept"


@pytest.fixture(autouse=True)
def letters() -> Iterator[list[Any]]:
    """What was e-mailed."""
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield mail.outbox


@pytest.fixture
def newcomer(stores: Any) -> Callable[[str], User]:
    """Registers somebody who is in no organization."""
    return lambda email: people.register_user(email, PASSWORD, "A newcomer")


@pytest.fixture
def new() -> str:
    """An address that nobody has."""
    return f"new-{secrets.token_hex(6)}@people.example"


def browser_of(user: User) -> Client:
    client = Client(SERVER_NAME=HOST)
    client.force_login(user, backend="tenants.access.backends.EmailBackend")
    return client


def invite(owner: Person, email: str, **more: Any) -> dict[str, Any]:
    answer = call(owner, "post", INVITES, {"email": email, "role": "reader", **more})
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()
    return made


def row_of(owner: Person, invite_id: str) -> Invitation:
    with owner.acting():
        found: Invitation = Invitation.objects.get(pk=invite_id.removeprefix("invite-"))
    return found


def token(owner: Person, invite_id: str) -> str:
    return invitations.token_of(row_of(owner, invite_id))


def accept(user: User, with_token: str) -> Any:
    return browser_of(user).post(ACCEPT, {"token": with_token}, content_type=JSON)


def test_the_official_client_invites_lists_and_withdraws(owner: Person, new: str) -> None:
    api = admin_client(owner).admin.organization.invites
    made = api.create(email=new.upper(), role="reader")
    assert (made.email, made.role, made.status) == (new, "reader", "pending")
    assert [(place.id, place.role) for place in made.projects] == [(owner.project.public_id, "member")]
    others = [api.create(email=f"n{number}@people.example", role="reader").id for number in range(4)]
    assert [one.id for one in api.list(limit=2)] == [*others[::-1], made.id]
    assert api.retrieve(made.id).id == made.id
    assert api.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        api.retrieve(made.id)


def test_answers_are_what_openai_publishes(owner: Person, new: str) -> None:
    made = conforms("Invite", invite(owner, new))
    one = f"{INVITES}/{made['id']}"
    conforms("InviteListResponse", call(owner, "get", INVITES).json())
    conforms("Invite", call(owner, "get", one).json())
    conforms("InviteDeleteResponse", call(owner, "delete", one).json())


def test_an_invitation_is_mailed_and_its_link_lets_its_receiver_in(
    owner: Person, new: str, newcomer: Any, letters: list[Any]
) -> None:
    made = invite(owner, new, role="auditor")
    row = row_of(owner, made["id"])
    mails.send_invitation(owner.organization.pk, row.pk)
    (letter,) = letters
    assert letter.to == [new]
    assert owner.organization.name in letter.subject
    sent = re.search(r"token=(\S+)", letter.body)
    assert sent
    seen = invitations.look_up(sent[1].replace("%7E", "~"))
    assert (seen.email, seen.organization_name, seen.role) == (
        new,
        owner.organization.name,
        Role.AUDITOR,
    )
    person = newcomer(new)
    client = browser_of(person)
    assert client.get("/api/v1/session").status_code == 401
    answer = client.post(ACCEPT, {"token": sent[1].replace("%7E", "~")}, content_type=JSON)
    assert (answer.status_code, answer.json()["organization_id"]) == (200, owner.organization.public_id)
    session = client.get("/api/v1/session").json()
    assert (session["organization"]["id"], session["role"]) == (owner.organization.public_id, "auditor")
    assert call(owner, "get", f"{INVITES}/{made['id']}").json()["status"] == "accepted"
    with owner.acting():
        assert AuditEntry.objects.filter(action="invitation.accept", actor=person.public_id).exists()


def test_neither_events_nor_audit_hold_the_token_or_the_address(owner: Person) -> None:
    made = invite(owner, "secret-name@people.example")
    row = row_of(owner, made["id"])
    with owner.acting():
        event = OutboxEvent.objects.get(name=invitations.CREATED)
        kept = json.dumps([event.payload, *AuditEntry.objects.values_list("details", flat=True)])
    for secret in (row.nonce, invitations.token_of(row), row.email):
        assert secret not in kept
    assert "nonce" not in json.dumps(made)


def test_projects_are_opened_as_the_invitation_says(owner: Person, new: str, newcomer: Any) -> None:
    with owner.acting():
        second, archived = start_project("Second"), start_project("Third")
    places = [
        {"id": second.public_id, "role": "owner"},
        {"id": archived.public_id, "role": "member"},
    ]
    made = invite(owner, new, projects=places)
    assert made["projects"] == places
    with owner.acting():
        type(archived).objects.filter(pk=archived.pk).update(archived_at=Now())
    person = newcomer(new)
    assert accept(person, token(owner, made["id"])).status_code == 200
    session = browser_of(person).get("/api/v1/session").json()
    assert [project["id"] for project in session["projects"]] == [second.public_id]
    with owner.acting():
        held = set(RoleAssignment.objects.filter(project=second).values_list("builtin", flat=True))
    assert held == {role.value for role in BUILT_IN[ProjectRole.OWNER]}


def test_an_empty_list_of_projects_opens_none(owner: Person, new: str, newcomer: Any) -> None:
    made = invite(owner, new, projects=[])
    person = newcomer(new)
    assert accept(person, token(owner, made["id"])).status_code == 200
    assert browser_of(person).get("/api/v1/session").json()["projects"] == []


def test_an_invitation_is_used_once(owner: Person, new: str, newcomer: Any) -> None:
    made = invite(owner, new)
    person, used = newcomer(new), token(owner, made["id"])
    assert accept(person, used).status_code == 200
    assert refused(accept(person, used), 409, "invitation_used")
    assert refused(call(owner, "delete", f"{INVITES}/{made['id']}"), 409, "invitation_used")
    call(owner, "delete", f"/v1/organization/users/{person.public_id}")
    assert refused(accept(person, used), 409, "invitation_used")


def test_an_invitation_expires(owner: Person, new: str, newcomer: Any) -> None:
    made = invite(owner, new)
    assert 0 <= made["expires_at"] - made["created_at"] - 7 * 24 * 3600 <= 1
    with owner.acting():
        Invitation.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert call(owner, "get", f"{INVITES}/{made['id']}").json()["status"] == "expired"
    answer = accept(newcomer(new), token(owner, made["id"]))
    assert refused(answer, 409, "invitation_expired")
    with pytest.raises(invitations.InvitationExpired):
        invitations.look_up(token(owner, made["id"]))


def test_inviting_again_replaces_the_link_and_is_not_mailed_for_the_old(
    owner: Person, new: str, newcomer: Any, letters: list[Any]
) -> None:
    first = invite(owner, new, role="owner")
    old, old_row = token(owner, first["id"]), row_of(owner, first["id"])
    second = invite(owner, new)
    mails.send_invitation(owner.organization.pk, old_row.pk)
    assert letters == []
    person = newcomer(new)
    assert refused(accept(person, old), 404, "invitation_unknown")
    assert accept(person, token(owner, second["id"])).status_code == 200
    assert browser_of(person).get("/api/v1/session").json()["role"] is None


def test_the_invited_address_accepts_and_no_other(owner: Person, new: str, newcomer: Any) -> None:
    made = invite(owner, new)
    other = newcomer(f"other-{new}")
    assert refused(accept(other, token(owner, made["id"])), 403, "invitation_for_another_address")
    assert Client(SERVER_NAME=HOST).post(ACCEPT, {"token": "x"}, content_type=JSON).status_code == 401
    answer = owner.program.post(ACCEPT, {"token": token(owner, made["id"])}, content_type=JSON)
    assert answer.status_code == 401


def test_a_token_that_was_not_signed_here_is_unknown(owner: Person, new: str, newcomer: Any) -> None:
    good = token(owner, invite(owner, new)["id"])
    person = newcomer(new)
    for bad in ("x", "", good[:-1], good.swapcase(), "a~b", good.replace("~", ".")):
        answer = accept(person, bad)
        assert answer.status_code in {400, 404}, answer.content
    assert accept(person, good + "\0").status_code in {400, 404}
    assert accept(person, good).status_code == 200


def test_an_organization_that_is_not_active_takes_nobody_in(owner: Person, new: str, newcomer: Any) -> None:
    used = token(owner, invite(owner, new)["id"])
    with owner.acting():
        Organization.objects.filter(pk=owner.organization.pk).update(state=OrganizationState.SUSPENDED)
    assert refused(accept(newcomer(new), used), 409, "organization_not_active")


def test_who_is_a_member_already_is_not_invited(owner: Person, teammate: Person) -> None:
    body = {"email": teammate.user.email, "role": "reader"}
    assert refused(call(owner, "post", INVITES, body), 409, "already_member")
    with owner.acting():
        members.deactivate_member(Member.objects.get(user=teammate.user), by=None)
    assert refused(call(owner, "post", INVITES, body), 409, "member_deactivated")


def test_nobody_invites_to_what_they_may_not_do(owner: Person) -> None:
    admin = new_person(Role.ADMIN, joining=owner)
    for person, role, status in (
        (admin, "owner", 403),
        (admin, "admin", 200),
        (owner, "owner", 200),
    ):
        body = {"email": f"{role}{status}@people.example", "role": role}
        assert call(person, "post", INVITES, body).status_code == status
    with pytest.raises(openai.PermissionDeniedError):
        admin_client(owner).admin.organization.invites.create(email="a@people.example", role="owner")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "nobody"}, "invalid_email"),
        ({"email": "a b@people.example"}, "invalid_email"),
        ({"email": "a@b@people.example"}, "invalid_email"),
        ({"email": "a@people..example"}, "invalid_email"),
        ({"email": ".a@people.example"}, "invalid_email"),
        ({"email": "x" * 65 + "@people.example"}, "invalid_email"),
        ({"email": "x@" + "y." * 126 + "example"}, "invalid_email"),
        ({"email": "\u0430dmin@people.example"}, "email_not_ascii"),
        ({"email": "mar\u212a@people.example"}, "email_not_ascii"),
        ({"email": "a@p\u0435ople.example"}, "email_not_ascii"),
        ({"email": "a\u200b@people.example"}, "email_not_ascii"),
        ({"role": "emperor"}, "invalid_request"),
        ({"projects": [{"id": "proj_" + "0" * 32, "role": "member"}]}, "not_found"),
        ({"projects": [{"id": "proj_x", "role": "member"}]}, "not_found"),
        ({"email": "a\u0000b@people.example"}, None),
        ({"email": 7}, None),
        ({"projects": [{"id": "proj_" + "0" * 32, "role": "king"}]}, None),
        ({"projects": "all"}, None),
        ({"sender": "me"}, None),
    ],
)
def test_a_bad_invitation_is_refused_and_leaves_nothing(
    owner: Person, body: dict[str, Any], code: str | None
) -> None:
    answer = call(owner, "post", INVITES, {"email": "a@people.example", "role": "reader", **body})
    assert answer.status_code in {400, 404}, answer.content
    if code:
        assert answer.json()["error"]["code"] == code
    with owner.acting():
        assert not Invitation.objects.exists()


def test_an_address_has_one_form() -> None:
    assert normalise(" Some.One+tag@People.Example ") == "some.one+tag@people.example"
    assert normalise("a@xn--bcher-kva.example") == "a@xn--bcher-kva.example"


def test_a_stranger_sees_and_ends_no_invitation(owner: Person, stranger: Person) -> None:
    one = f"{INVITES}/{invite(owner, 'new@people.example')['id']}"
    assert call(owner, "get", one).status_code == 200
    assert call(stranger, "get", one).status_code == 404
    assert call(stranger, "delete", one).status_code == 404
    assert call(stranger, "get", INVITES).json()["data"] == []
    theirs = [{"id": owner.project.public_id, "role": "member"}]
    body = {"email": "x@people.example", "role": "reader", "projects": theirs}
    assert refused(call(stranger, "post", INVITES, body), 404, "not_found")
    assert call(owner, "get", one).json()["status"] == "pending"


def all_at_once(acts: list[Callable[[], Any]]) -> list[str]:
    """Do these at the same time in threads; 'done' or the fault's code for each."""
    ready, results = threading.Barrier(len(acts)), [""] * len(acts)

    def run(number: int, act: Callable[[], Any]) -> None:
        ready.wait()
        try:
            act()
            results[number] = "done"
        except Exception as fault:
            results[number] = getattr(fault, "code", type(fault).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def test_two_acceptances_at_once_make_one_member(owner: Person, new: str, newcomer: Any) -> None:
    used = token(owner, invite(owner, new)["id"])
    person = newcomer(new)
    outcome = all_at_once([lambda: invitations.accept(used, person)] * 4)
    assert outcome == ["done", "invitation_used", "invitation_used", "invitation_used"]
    with owner.acting():
        assert Member.objects.filter(user=person).count() == 1


def test_acceptances_at_once_never_pass_the_plans_seats(owner: Person, newcomer: Any) -> None:
    plan = Plan.objects.create(name=f"three-{secrets.token_hex(6)}", title="Three", seats=3)
    guests = []
    for number in range(6):
        email = f"guest{number}-{secrets.token_hex(6)}@people.example"
        guests.append((token(owner, invite(owner, email)["id"]), newcomer(email)))
    with owner.acting():
        Organization.objects.filter(pk=owner.organization.pk).update(plan=plan.pk)
    outcome = all_at_once([lambda one=one: invitations.accept(*one) for one in guests])  # type: ignore[misc]
    assert outcome == ["done"] * 2 + ["seat_limit_reached"] * 4
    with owner.acting():
        assert Member.objects.filter(deactivated_at=None).count() == 3
        assert Invitation.objects.filter(accepted_at=None).count() == 4
    body = {"email": "late@people.example", "role": "reader"}
    assert refused(call(owner, "post", INVITES, body), 403, "seat_limit_reached")


def test_invitations_of_one_address_at_once_leave_one(owner: Person, new: str) -> None:
    principal = owner.principal

    def act() -> None:
        with owner.acting():
            invitations.invite(new, None, by=principal)

    assert all_at_once([act] * 5) == ["done"] * 5
    with owner.acting():
        assert Invitation.objects.count() == 1
