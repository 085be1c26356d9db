"""Groups: their members, roles and projects, and the row of Django's by which guardian knows each."""

import openai
import pytest
from django.contrib.auth.models import Group as AuthGroup

from kernel.audit.models import AuditEntry
from tenants.access.models import Group, GroupMember
from tenants.access.permissions import Role
from tenants.access.services import groups
from tenants.access.services.groups import find_group
from tests.cast import Person, new_person
from tests.tenants.administration.offices import admin_client, call, queries_of, refused
from tests.tenants.administration.published import conforms

GROUPS = "/v1/organization/groups"


def test_the_official_client_keeps_a_group_and_its_members(owner: Person) -> None:
    viewer = new_person(Role.VIEWER, joining=owner)
    api = admin_client(owner).admin.organization.groups
    group = api.create(name="Readers")
    assert api.update(group.id, name="Curators").name == "Curators"
    assert api.retrieve(group.id).name == "Curators"
    assert api.users.create(group.id, user_id=viewer.user.public_id).user_id == viewer.user.public_id
    assert [user.id for user in api.users.list(group.id)] == [viewer.user.public_id]
    assert api.users.retrieve(viewer.user.public_id, group_id=group.id).email == viewer.user.email
    assert api.users.delete(viewer.user.public_id, group_id=group.id).deleted
    assert [user.id for user in api.users.list(group.id)] == []
    assert api.delete(group.id).deleted
    with pytest.raises(openai.NotFoundError):
        api.retrieve(group.id)
    with owner.acting():
        told = set(AuditEntry.objects.filter(target=group.id).values_list("action", flat=True))
    assert told == {
        "group.create",
        "group.update",
        "group.member.add",
        "group.member.remove",
        "group.delete",
    }


def test_groups_are_cut_into_pages_in_either_order(owner: Person) -> None:
    api = admin_client(owner).admin.organization.groups
    made = [api.create(name=f"Group {number}").id for number in range(5)]
    assert [group.id for group in api.list(limit=2)] == made
    assert [group.id for group in api.list(limit=2, order="desc")] == made[::-1]
    for query in ("limit=-1", "limit=1001", "order=up"):
        assert call(owner, "get", f"{GROUPS}?{query}").status_code == 400


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    group = conforms("GroupResponse", call(owner, "post", GROUPS, {"name": "Readers"}).json())
    one, user = f"{GROUPS}/{group['id']}", owner.user.public_id
    conforms("GroupListResource", call(owner, "get", GROUPS).json())
    conforms("GroupResponse", call(owner, "get", one).json())
    conforms("GroupResourceWithSuccess", call(owner, "post", one, {"name": "Others"}).json())
    conforms("GroupUserAssignment", call(owner, "post", f"{one}/users", {"user_id": user}).json())
    conforms("UserListResource", call(owner, "get", f"{one}/users").json())
    conforms("GroupMemberUser", call(owner, "get", f"{one}/users/{user}").json())
    conforms("GroupUserDeletedResource", call(owner, "delete", f"{one}/users/{user}").json())
    conforms("GroupRoleAssignment", call(owner, "post", f"{one}/roles", {"role_id": "role_viewer"}).json())
    conforms("RoleListResource", call(owner, "get", f"{one}/roles").json())
    conforms("AssignedRoleDetails", call(owner, "get", f"{one}/roles/role_viewer").json())
    conforms("DeletedRoleAssignmentResource", call(owner, "delete", f"{one}/roles/role_viewer").json())
    inside = f"/v1/organization/projects/{owner.project.public_id}/groups"
    body = {"group_id": group["id"], "role": "role_viewer"}
    conforms("ProjectGroup", call(owner, "post", inside, body).json())
    conforms("ProjectGroupListResource", call(owner, "get", inside).json())
    conforms("ProjectGroup", call(owner, "get", f"{inside}/{group['id']}").json())
    roles = f"/v1/projects/{owner.project.public_id}/groups/{group['id']}/roles"
    conforms("RoleListResource", call(owner, "get", roles).json())
    conforms("GroupRoleAssignment", call(owner, "post", roles, {"role_id": "role_end_user"}).json())
    conforms("AssignedRoleDetails", call(owner, "get", f"{roles}/role_end_user").json())
    conforms("DeletedRoleAssignmentResource", call(owner, "delete", f"{roles}/role_end_user").json())
    conforms("ProjectGroupDeletedResource", call(owner, "delete", f"{inside}/{group['id']}").json())
    conforms("GroupDeletedResource", call(owner, "delete", one).json())


def test_djangos_row_is_kept_in_step(owner: Person) -> None:
    viewer = new_person(Role.VIEWER, joining=owner)
    api = admin_client(owner).admin.organization.groups
    public_id = api.create(name="Readers").id
    with owner.acting():
        auth_group = find_group(public_id).auth_group
    api.users.create(public_id, user_id=viewer.user.public_id)
    api.users.create(public_id, user_id=viewer.user.public_id)
    assert list(viewer.user.groups.all()) == [auth_group]
    api.users.delete(viewer.user.public_id, group_id=public_id)
    assert list(viewer.user.groups.all()) == []
    api.users.create(public_id, user_id=viewer.user.public_id)
    call(owner, "delete", f"/v1/organization/users/{viewer.user.public_id}")
    assert list(viewer.user.groups.all()) == []
    api.delete(public_id)
    assert not AuthGroup.objects.filter(pk=auth_group.pk).exists()


def test_a_groups_roles_reach_its_members_while_they_are_in_it(owner: Person) -> None:
    talker = new_person(Role.END_USER, joining=owner)
    api = admin_client(owner).admin.organization
    group = api.groups.create(name="Readers")
    api.groups.users.create(group.id, user_id=talker.user.public_id)
    assert talker.browser.get("/v1/files").status_code == 403
    api.groups.roles.create(group.id, role_id="role_viewer")
    assert talker.browser.get("/v1/files").status_code == 200
    api.groups.users.delete(talker.user.public_id, group_id=group.id)
    assert talker.browser.get("/v1/files").status_code == 403
    api.groups.users.create(group.id, user_id=talker.user.public_id)
    api.groups.delete(group.id)
    assert talker.browser.get("/v1/files").status_code == 403


def test_a_project_is_opened_to_a_group_and_closed_again(owner: Person) -> None:
    # Joined without a project: only the group opens this one.
    member = new_person(joining=owner)
    api = admin_client(owner).admin.organization
    api.projects.users.delete(member.user.public_id, project_id=owner.project.public_id)
    assert member.browser.get("/api/v1/session").json()["project"] is None
    group = api.groups.create(name="Everybody here")
    api.groups.users.create(group.id, user_id=member.user.public_id)
    inside = api.projects.groups
    made = inside.create(owner.project.public_id, group_id=group.id, role="member")
    assert (made.group_id, made.project_id) == (group.id, owner.project.public_id)
    assert [one.group_id for one in inside.list(owner.project.public_id)] == [group.id]
    assert member.browser.get("/api/v1/session").json()["project"]["id"] == owner.project.public_id
    assert member.browser.get("/v1/files").status_code == 200
    assert inside.delete(group.id, project_id=owner.project.public_id).deleted
    assert member.browser.get("/api/v1/session").json()["project"] is None
    with pytest.raises(openai.NotFoundError):
        inside.delete(group.id, project_id=owner.project.public_id)


def test_nobody_lets_themselves_into_a_group_that_may_do_more(owner: Person) -> None:
    api = admin_client(owner).admin.organization
    role = api.roles.create(role_name="Keeper", permissions=["group.read", "group.write"])
    keeper = new_person(Role.VIEWER, joining=owner)
    api.users.roles.create(keeper.user.public_id, role_id=role.id)
    strong, weak = api.groups.create(name="Strong"), api.groups.create(name="Weak")
    call(owner, "post", f"{GROUPS}/{strong.id}/roles", {"role_id": "role_admin"})
    body = {"user_id": keeper.user.public_id}
    assert refused(call(keeper, "post", f"{GROUPS}/{strong.id}/users", body), 403, "escalation")
    assert refused(call(keeper, "delete", f"{GROUPS}/{strong.id}"), 403, "escalation")
    assert call(keeper, "post", f"{GROUPS}/{weak.id}/users", body).status_code == 200


def test_nobody_enters_a_group_to_reach_what_is_granted_to_it(owner: Person) -> None:
    api = admin_client(owner).admin.organization
    role = api.roles.create(role_name="Keeper", permissions=["group.read", "group.write"])
    keeper = new_person(Role.DATA_ENGINEER, joining=owner)
    api.users.roles.create(keeper.user.public_id, role_id=role.id)
    group = api.groups.create(name="Trusted")
    file = owner.openai.files.create(file=("a.jsonl", b"{}\n"), purpose="fine-tune").id
    grant = {"object": file, "subject": group.id, "actions": ["file.read"]}
    assert call(owner, "put", "/api/v1/grants", grant).status_code == 200
    body = {"user_id": keeper.user.public_id}
    assert refused(call(keeper, "post", f"{GROUPS}/{group.id}/users", body), 403, "escalation")


def test_a_group_of_the_identity_provider_is_changed_there_only(owner: Person) -> None:
    with owner.acting():
        group = groups.make_group("From elsewhere", external_id="x", scim_managed=True)
    one = f"{GROUPS}/{group.public_id}"
    assert call(owner, "get", one).json()["is_scim_managed"] is True
    for method, address, body in (
        ("post", one, {"name": "Mine"}),
        ("delete", one, None),
        ("post", f"{one}/users", {"user_id": owner.user.public_id}),
    ):
        assert refused(call(owner, method, address, body), 409, "group_scim_managed")
    assert call(owner, "post", f"{one}/roles", {"role_id": "role_viewer"}).status_code == 200


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\tb", 7, None])
def test_a_bad_name_is_refused(owner: Person, name: object) -> None:
    answer = call(owner, "post", GROUPS, {"name": name})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


def test_two_groups_have_two_names(owner: Person, stranger: Person) -> None:
    assert call(owner, "post", GROUPS, {"name": "Readers"}).status_code == 200
    assert refused(call(owner, "post", GROUPS, {"name": "Readers"}), 409, "group_name_taken")
    assert call(stranger, "post", GROUPS, {"name": "Readers"}).status_code == 200


def test_a_stranger_sees_and_changes_nothing_of_a_group(owner: Person, stranger: Person) -> None:
    api = admin_client(owner).admin.organization
    group, user = api.groups.create(name="Readers"), owner.user.public_id
    api.groups.users.create(group.id, user_id=user)
    api.groups.roles.create(group.id, role_id="role_viewer")
    project = owner.project.public_id
    api.projects.groups.create(project, group_id=group.id, role="role_viewer")
    one, inside = f"{GROUPS}/{group.id}", f"/v1/organization/projects/{project}/groups"
    addresses = [
        one,
        f"{one}/users",
        f"{one}/users/{user}",
        f"{one}/roles",
        f"{one}/roles/role_viewer",
        inside,
        f"{inside}/{group.id}",
        f"/v1/projects/{project}/groups/{group.id}/roles",
        f"/v1/projects/{project}/groups/{group.id}/roles/role_viewer",
    ]
    for address in addresses:
        assert call(owner, "get", address).status_code == 200, address
        assert call(stranger, "get", address).status_code == 404, address
    for address in (one, f"{one}/users/{user}", f"{one}/roles/role_viewer", f"{inside}/{group.id}"):
        assert call(stranger, "delete", address).status_code == 404, address
    own = call(stranger, "post", GROUPS, {"name": "Own"}).json()["id"]
    for address, body in (
        (one, {"name": "Mine"}),
        (f"{one}/users", {"user_id": stranger.user.public_id}),
        (f"{GROUPS}/{own}/users", {"user_id": user}),
        (f"{one}/roles", {"role_id": "role_viewer"}),
        (inside, {"group_id": own, "role": "member"}),
        (
            f"/v1/organization/projects/{stranger.project.public_id}/groups",
            {"group_id": group.id, "role": "member"},
        ),
    ):
        assert call(stranger, "post", address, body).status_code == 404, address
    with owner.acting():
        assert Group.objects.get().name == "Readers"
        assert GroupMember.objects.count() == 1


def test_a_groups_list_costs_no_more_for_many_members(owner: Person) -> None:
    with owner.acting():
        group = groups.make_group("Readers")
    api = admin_client(owner).admin.organization.groups.users
    address = f"{GROUPS}/{group.public_id}/users"
    api.create(group.public_id, user_id=owner.user.public_id)
    few = queries_of(owner, address)
    for _ in range(4):
        person = new_person(Role.VIEWER, joining=owner)
        api.create(group.public_id, user_id=person.user.public_id)
    assert queries_of(owner, address) == few
