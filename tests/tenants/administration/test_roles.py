"""Roles: predefined and made, assigned in the organization and in a project, and never beyond oneself."""

from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel import ids
from kernel.audit.models import AuditEntry
from tenants.access.delegation import Escalation, handed_out_by, require_may_hand_out
from tenants.access.models import CustomRole, Member
from tenants.access.permissions import (
    ADMIN_KEY_PERMISSIONS,
    EVERYBODY,
    GRANTABLE,
    MATRIX,
    NEVER_IN_A_PROJECT,
    WORK,
    Permission,
    Role,
)
from tenants.access.principal import Principal
from tenants.access.services import custom_roles, roles
from tenants.access.services.custom_roles import RoleDraft
from tenants.access.services.roles import BuiltIn
from tenants.organizations.services.projects import start_project
from tests.cast import Person, new_person
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

ROLES = "/v1/organization/roles"
SOME_ID = ids.uuid7()


def test_the_official_client_makes_changes_and_deletes_a_role(owner: Person) -> None:
    api = admin_client(owner).admin.organization.roles
    made = api.create(role_name="Librarian", permissions=["file.read"], description="Reads.")
    assert (made.name, made.permissions, made.predefined_role) == ("Librarian", ["file.read"], False)
    changed = api.update(made.id, permissions=["file.read", "model.read"], role_name="Curator")
    assert (changed.name, changed.permissions, changed.description) == (
        "Curator",
        ["file.read", "model.read"],
        "Reads.",
    )
    assert api.retrieve(made.id).name == "Curator"
    assert api.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        api.retrieve(made.id)
    with owner.acting():
        assert set(AuditEntry.objects.filter(target=made.id).values_list("action", flat=True)) == {
            "role.create",
            "role.update",
            "role.delete",
        }


def test_the_built_in_roles_come_first_and_cannot_be_changed(owner: Person) -> None:
    api = admin_client(owner).admin.organization.roles
    made = api.create(role_name="Librarian", permissions=["file.read"])
    listed = list(api.list(limit=3))
    assert [role.id for role in listed] == [*(f"role_{role.value}" for role in Role), made.id]
    assert all(role.predefined_role for role in listed[:-1])
    assert set(listed[0].permissions) == MATRIX[Role.OWNER]
    assert [role.id for role in api.list(order="desc")] == [role.id for role in reversed(listed)]
    for act in (lambda: api.delete("role_viewer"), lambda: api.update("role_viewer", role_name="x")):
        with pytest.raises(openai.ConflictError) as refusal:
            act()
        assert refusal.value.code == "predefined_role"


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    made = conforms(
        "Role", call(owner, "post", ROLES, {"role_name": "R", "permissions": ["file.read"]}).json()
    )
    one = f"{ROLES}/{made['id']}"
    conforms("PublicRoleListResource", call(owner, "get", ROLES).json())
    conforms("Role", call(owner, "get", one).json())
    theirs = f"/v1/organization/users/{owner.user.public_id}/roles"
    conforms("UserRoleAssignment", call(owner, "post", theirs, {"role_id": made["id"]}).json())
    conforms("RoleListResource", call(owner, "get", theirs).json())
    conforms("AssignedRoleDetails", call(owner, "get", f"{theirs}/{made['id']}").json())
    conforms("DeletedRoleAssignmentResource", call(owner, "delete", f"{theirs}/{made['id']}").json())
    conforms("Role", call(owner, "post", one, {"description": None}).json())
    conforms("RoleDeletedResource", call(owner, "delete", one).json())
    in_project = f"/v1/projects/{owner.project.public_id}/roles"
    conforms("PublicRoleListResource", call(owner, "get", in_project).json())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"role_name": "", "permissions": ["file.read"]}, 400, "invalid_request"),
        ({"role_name": "viewer", "permissions": ["file.read"]}, 409, "role_name_taken"),
        ({"role_name": "a\u0000b", "permissions": ["file.read"]}, 400, None),
        ({"role_name": "R", "permissions": []}, 400, "invalid_request"),
        ({"role_name": "R", "permissions": ["file.eat"]}, 400, "unknown_permission"),
        ({"role_name": "R", "permissions": ["organization.own"]}, 400, "unknown_permission"),
        ({"role_name": "R", "permissions": ["platform.operate"]}, 400, "unknown_permission"),
        ({"role_name": "R", "permissions": "file.read"}, 400, None),
        ({"role_name": "R", "permissions": ["file.read"], "owner": True}, 400, None),
        ({"role_name": "R" * 101, "permissions": ["file.read"]}, 400, None),
    ],
)
def test_a_bad_role_is_refused(owner: Person, body: Any, status: int, code: str | None) -> None:
    answer = call(owner, "post", ROLES, body)
    assert answer.status_code == status, answer.content
    if code:
        assert answer.json()["error"]["code"] == code
    with owner.acting():
        assert not CustomRole.objects.exists()


def test_two_roles_have_two_names(owner: Person) -> None:
    body = {"role_name": "Librarian", "permissions": ["file.read"]}
    assert call(owner, "post", ROLES, body).status_code == 200
    assert refused(call(owner, "post", ROLES, body), 409, "role_name_taken")
    elsewhere = f"/v1/projects/{owner.project.public_id}/roles"
    assert call(owner, "post", elsewhere, body).status_code == 200


def test_a_role_reaches_who_has_it_at_once(owner: Person) -> None:
    reader = new_person(Role.END_USER, joining=owner)
    assert reader.browser.get("/v1/files").status_code == 403
    api = admin_client(owner).admin.organization
    made = api.roles.create(role_name="Librarian", permissions=["file.read"])
    api.users.roles.create(reader.user.public_id, role_id=made.id)
    assert reader.browser.get("/v1/files").status_code == 200
    api.roles.update(made.id, permissions=["model.read"])
    assert reader.browser.get("/v1/files").status_code == 403
    api.roles.update(made.id, permissions=["file.read"])
    api.users.roles.delete(made.id, user_id=reader.user.public_id)
    assert reader.browser.get("/v1/files").status_code == 403


def test_a_members_roles_name_the_groups_they_come_from(owner: Person) -> None:
    viewer = new_person(Role.VIEWER, joining=owner)
    api = admin_client(owner).admin.organization
    group = api.groups.create(name="Readers")
    api.groups.roles.create(group.id, role_id="role_data_engineer")
    api.groups.users.create(group.id, user_id=viewer.user.public_id)
    listed = {role.id: role.assignment_sources for role in api.users.roles.list(viewer.user.public_id)}
    assert listed["role_viewer"][0].principal_id == viewer.user.public_id
    assert listed["role_data_engineer"][0].principal_id == group.id
    with pytest.raises(openai.NotFoundError):
        api.users.roles.delete("role_data_engineer", user_id=viewer.user.public_id)


def test_a_projects_role_holds_in_it_and_is_no_other_projects(owner: Person) -> None:
    viewer = new_person(joining=owner)
    with owner.acting():
        other = start_project("Other")
    api = admin_client(owner).admin.organization.projects
    here = owner.project.public_id
    made = api.roles.create(here, role_name="Librarian", permissions=["file.read"])
    assert made.resource_type == "api.project"
    assert made.id in {role.id for role in api.roles.list(here)}
    assert "role_owner" not in {role.id for role in api.roles.list(here)}
    api.users.roles.create(viewer.user.public_id, project_id=here, role_id=made.id)
    assert viewer.browser.get("/v1/files").status_code == 200
    found = api.users.roles.retrieve(made.id, project_id=here, user_id=viewer.user.public_id)
    assert found.name == "Librarian"
    for address in (
        f"/v1/projects/{other.public_id}/roles/{made.id}",
        f"/v1/projects/{other.public_id}/users/{viewer.user.public_id}/roles/{made.id}",
        f"/v1/organization/roles/{made.id}",
    ):
        assert call(owner, "get", address).status_code == 404
    body = {"role_id": made.id}
    assert (
        call(owner, "post", f"/v1/organization/users/{viewer.user.public_id}/roles", body).status_code == 404
    )
    api.users.roles.delete(made.id, project_id=here, user_id=viewer.user.public_id)
    assert viewer.browser.get("/v1/files").status_code == 403


def test_the_organization_is_not_owned_by_a_project(owner: Person) -> None:
    viewer = new_person(joining=owner)
    address = f"/v1/projects/{owner.project.public_id}/users/{viewer.user.public_id}/roles"
    assert refused(call(owner, "post", address, {"role_id": "role_owner"}), 400, "invalid_request")
    body = {"role_name": "R", "permissions": ["organization.write"]}
    answer = call(owner, "post", f"/v1/projects/{owner.project.public_id}/roles", body)
    assert refused(answer, 400, "unknown_permission")


def test_who_administers_one_project_gives_roles_in_it_and_nowhere_else(owner: Person) -> None:
    lead, viewer = new_person(joining=owner), new_person(joining=owner)
    with owner.acting():
        other = start_project("Other")
        roles.assign(BuiltIn(Role.ADMIN), to=Member.objects.get(user=lead.user), project=owner.project)
    their = f"users/{viewer.user.public_id}/roles"
    body = {"role_id": "role_data_engineer"}
    assert call(lead, "post", f"/v1/projects/{owner.project.public_id}/{their}", body).status_code == 200
    assert call(lead, "post", f"/v1/projects/{other.public_id}/{their}", body).status_code == 403
    assert call(lead, "post", f"/v1/organization/{their}", body).status_code == 403
    assert call(lead, "get", "/v1/organization/users").status_code == 403


def test_a_stranger_sees_and_changes_no_role_of_another_organization(owner: Person, stranger: Person) -> None:
    api = admin_client(owner).admin.organization
    made = api.roles.create(role_name="Librarian", permissions=["file.read"])
    mine = api.projects.roles.create(owner.project.public_id, role_name="Own", permissions=["file.read"])
    api.users.roles.create(owner.user.public_id, role_id=made.id)
    api.projects.users.roles.create(owner.user.public_id, project_id=owner.project.public_id, role_id=mine.id)
    project, user = f"/v1/projects/{owner.project.public_id}", owner.user.public_id
    addresses = [
        f"{ROLES}/{made.id}",
        f"{project}/roles",
        f"{project}/roles/{mine.id}",
        f"/v1/organization/users/{user}/roles",
        f"/v1/organization/users/{user}/roles/{made.id}",
        f"{project}/users/{user}/roles",
        f"{project}/users/{user}/roles/{mine.id}",
    ]
    for address in addresses:
        assert call(owner, "get", address).status_code == 200, address
        assert call(stranger, "get", address).status_code == 404, address
        if not address.endswith("roles"):
            assert call(stranger, "delete", address).status_code == 404, address
    for address in (f"{ROLES}/{made.id}", f"{project}/roles/{mine.id}"):
        assert call(stranger, "post", address, {"role_name": "x"}).status_code == 404
    for address in (f"/v1/organization/users/{user}/roles", f"{project}/users/{user}/roles"):
        assert call(stranger, "post", address, {"role_id": "role_viewer"}).status_code == 404


permission_sets = st.frozensets(st.sampled_from(sorted(Permission)))


def somebody(held: frozenset[Permission], owner: Person) -> Principal:
    return Principal(
        owner.organization.pk, owner.project.pk, held | EVERYBODY, held | EVERYBODY, user_id=owner.user.pk
    )


@settings(max_examples=300, deadline=None)
@given(role=st.sampled_from(list(Role)), wanted=permission_sets, project=st.booleans())
def test_by_law_nobody_hands_out_what_they_do_not_hold(
    role: Role, wanted: frozenset[Permission], project: bool
) -> None:
    project_id = SOME_ID if project else None
    holder = Principal(SOME_ID, SOME_ID, MATRIX[role], MATRIX[role], user_id=SOME_ID)
    allowed = wanted - (NEVER_IN_A_PROJECT if project else frozenset()) <= MATRIX[role] | EVERYBODY
    if allowed:
        require_may_hand_out(holder, wanted, project_id=project_id)
    else:
        with pytest.raises(Escalation):
            require_may_hand_out(holder, wanted, project_id=project_id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(role=st.sampled_from(list(Role)), wanted=st.frozensets(st.sampled_from(sorted(GRANTABLE)), min_size=1))
def test_by_law_a_role_is_made_and_given_only_by_who_holds_it_all(
    owner: Person, role: Role, wanted: frozenset[Permission]
) -> None:
    principal = somebody(MATRIX[role], owner)
    with owner.acting():
        CustomRole.objects.all().delete()
        if wanted <= MATRIX[role] | EVERYBODY:
            made = custom_roles.make_role(RoleDraft("R", wanted), by=principal)
            roles.give(made, to=Member.objects.get(user=owner.user), by=principal)
            return
        with pytest.raises(Escalation):
            custom_roles.make_role(RoleDraft("R", wanted), by=principal)
        beyond = CustomRole.objects.create(name="R", permissions=sorted(wanted))
        with pytest.raises(Escalation):
            roles.give(beyond, to=Member.objects.get(user=owner.user), by=principal)
        with pytest.raises(Escalation):
            custom_roles.change_role(beyond, RoleDraft(permissions=["file.read"]), by=principal)
        with pytest.raises(Escalation):
            custom_roles.delete_role(beyond, by=principal)


def test_an_administration_key_hands_out_its_own_and_the_work_in_projects(owner: Person) -> None:
    key = Principal(
        owner.organization.pk,
        None,
        ADMIN_KEY_PERMISSIONS,
        ADMIN_KEY_PERMISSIONS,
        user_id=None,
        key_id=owner.user.pk,
    )
    assert handed_out_by(key) == ADMIN_KEY_PERMISSIONS | WORK | EVERYBODY
    assert not handed_out_by(key) & {
        Permission.ORGANIZATION_OWN,
        Permission.ADMIN_KEY_WRITE,
        Permission.SUPPORT_WRITE,
    }
