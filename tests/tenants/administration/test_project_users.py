"""Who works in a project, in OpenAI's two roles, and what that lets them do."""

import openai
import pytest

from tenants.access.models import Member, RoleAssignment
from tenants.access.permissions import Role
from tenants.access.project_roles import BUILT_IN, ProjectRole
from tenants.organizations.services.projects import start_project
from tests.cast import Person, new_person
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms


def users_of(person: Person) -> str:
    return f"/v1/organization/projects/{person.project.public_id}/users"


def roles_in_project(owner: Person, person: Person) -> set[str]:
    with owner.acting():
        rows = RoleAssignment.objects.filter(
            member=Member.objects.get(user=person.user), project=owner.project
        )
        return set(rows.values_list("builtin", flat=True))


def test_the_official_client_lets_members_in_changes_and_puts_them_out(owner: Person) -> None:
    member = new_person(joining=owner)
    with owner.acting():
        place = start_project("Second").public_id
    users = admin_client(owner).admin.organization.projects.users
    made = users.create(place, role="member", user_id=member.user.public_id)
    assert (made.role, made.email) == ("member", member.user.email)
    assert [user.id for user in users.list(place)] == [member.user.public_id]
    assert users.update(member.user.public_id, project_id=place, role="owner").role == "owner"
    assert users.retrieve(member.user.public_id, project_id=place).role == "owner"
    assert users.delete(member.user.public_id, project_id=place).deleted
    with pytest.raises(openai.NotFoundError):
        users.retrieve(member.user.public_id, project_id=place)
    assert users.create(place, role="member", email=member.user.email.upper()).id == member.user.public_id


def test_the_roles_are_the_ones_of_the_mapping(owner: Person) -> None:
    member = new_person(joining=owner)
    for role in (ProjectRole.MEMBER, ProjectRole.OWNER, ProjectRole.MEMBER):
        body = {"user_id": member.user.public_id, "role": role.value}
        assert call(owner, "post", users_of(owner), body).status_code == 200
        assert roles_in_project(owner, member) == {one.value for one in BUILT_IN[role]}


def test_the_project_opens_and_closes(owner: Person) -> None:
    member = new_person(joining=owner)
    one = f"{users_of(owner)}/{member.user.public_id}"
    assert call(owner, "delete", one).status_code == 200
    assert member.browser.get("/api/v1/session").json()["projects"] == []
    assert member.browser.get("/v1/files").status_code in {400, 403}
    body = {"user_id": member.user.public_id, "role": "member"}
    call(owner, "post", users_of(owner), body)
    assert member.browser.get("/v1/files").status_code == 200
    assert call(member, "get", users_of(owner)).status_code == 403
    call(owner, "post", one, {"role": "owner"})
    assert call(member, "get", users_of(owner)).status_code == 200
    assert call(owner, "delete", one).status_code == 200
    assert member.browser.get("/api/v1/session").json()["projects"] == []


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    member = new_person(joining=owner)
    one = f"{users_of(owner)}/{member.user.public_id}"
    body = {"user_id": member.user.public_id, "role": "member"}
    conforms("ProjectUser", call(owner, "post", users_of(owner), body).json())
    conforms("ProjectUserListResponse", call(owner, "get", users_of(owner)).json())
    conforms("ProjectUser", call(owner, "get", one).json())
    conforms("ProjectUser", call(owner, "post", one, {"role": "owner"}).json())
    conforms("ProjectUserDeleteResponse", call(owner, "delete", one).json())


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"role": "member"}, "user_id"),
        ({"role": "member", "user_id": "{user}", "email": "a@b.example"}, "user_id"),
        ({"role": "king", "user_id": "{user}"}, "role"),
        ({"user_id": "{user}"}, "role"),
        ({"role": "member", "email": "p\u0430yp\u0430l@people.example"}, "email"),
        ({"role": "member", "user_id": "{user}", "x": 1}, "x"),
    ],
)
def test_a_bad_body_names_what_is_wrong(owner: Person, body: dict[str, object], param: str) -> None:
    sent = {key: owner.user.public_id if value == "{user}" else value for key, value in body.items()}
    answer = call(owner, "post", users_of(owner), sent)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_who_is_no_member_is_invited_first(owner: Person, stranger: Person) -> None:
    for body in ({"email": stranger.user.email}, {"user_id": stranger.user.public_id}):
        answer = call(owner, "post", users_of(owner), {"role": "member", **body})
        assert refused(answer, 404, "not_found")


def test_a_stranger_sees_and_changes_nothing_of_a_project(owner: Person, stranger: Person) -> None:
    member = new_person(joining=owner)
    one = f"{users_of(owner)}/{member.user.public_id}"
    for address in (users_of(owner), one):
        assert call(owner, "get", address).status_code == 200
        assert call(stranger, "get", address).status_code == 404
    body = {"user_id": stranger.user.public_id, "role": "owner"}
    assert call(stranger, "post", users_of(owner), body).status_code == 404
    assert call(stranger, "post", one, {"role": "owner"}).status_code == 404
    assert call(stranger, "delete", one).status_code == 404


def test_a_projects_owner_lets_people_into_it_and_into_no_other(owner: Person) -> None:
    lead, member = new_person(joining=owner), new_person(joining=owner)
    with owner.acting():
        other = start_project("Other")
    call(owner, "post", users_of(owner), {"user_id": lead.user.public_id, "role": "owner"})
    body = {"user_id": member.user.public_id, "role": "member"}
    assert call(lead, "post", users_of(owner), body).status_code == 200
    elsewhere = f"/v1/organization/projects/{other.public_id}/users"
    assert refused(call(lead, "post", elsewhere, body), 403, "permission_denied")


def test_roles_that_were_given_one_by_one_stay(owner: Person) -> None:
    member = new_person(joining=owner)
    api = admin_client(owner).admin.organization.projects
    here, user = owner.project.public_id, member.user.public_id
    api.users.roles.create(user, project_id=here, role_id="role_auditor")
    api.users.create(here, role="member", user_id=user)
    api.users.update(user, project_id=here, role="owner")
    assert roles_in_project(owner, member) == {Role.AUDITOR.value, Role.ADMIN.value}
    api.users.delete(user, project_id=here)
    assert roles_in_project(owner, member) == set()
