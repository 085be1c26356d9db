"""What a member may do: roles of their own and of their groups, in the organization and in its projects."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel import ids
from tenants.access.models import CustomRole, Group, Member, RoleAssignment
from tenants.access.permissions import (
    EVERYBODY,
    GRANTABLE,
    MATRIX,
    NEVER_IN_A_PROJECT,
    Permission,
    Role,
)
from tenants.access.services import groups, roles
from tenants.access.services.roles import BuiltIn
from tenants.access.standing import projects_for, standing_of
from tenants.organizations.models import Project
from tenants.organizations.services.projects import start_project
from tests.cast import Person, new_person

SETS = st.frozensets(st.sampled_from(sorted(Permission)))
ROLES = st.frozensets(st.sampled_from(list(Role)), max_size=3)


def member_of(person: Person) -> Member:
    found: Member = Member.objects.get(user=person.user)
    return found


class Office:
    """A member in one group, a second project, and a role of the organization's own."""

    def __init__(self, owner: Person) -> None:
        self.owner, self.person = owner, new_person(joining=owner)
        with owner.acting():
            self.member, self.group = member_of(self.person), groups.make_group("A group")
            groups.add_to_group(self.group, self.member, by=None)
            self.project: Project = start_project("Another")
            self.custom: CustomRole = CustomRole.objects.create(name="Own", permissions=["file.read"])

    def assign(self, to: Member | Group, held: frozenset[Role], project: Project | None = None) -> None:
        for role in held:
            roles.assign(BuiltIn(role), to=to, project=project)


@pytest.fixture
def office(owner: Person) -> Office:
    return Office(owner)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(own=ROLES, by_group=ROLES, in_project=ROLES, custom=st.frozensets(st.sampled_from(sorted(GRANTABLE))))
def test_by_law_one_may_do_what_ones_roles_add_up_to(
    office: Office,
    own: frozenset[Role],
    by_group: frozenset[Role],
    in_project: frozenset[Role],
    custom: frozenset[Permission],
) -> None:
    with office.owner.acting():
        RoleAssignment.objects.filter(member=office.member).delete()
        RoleAssignment.objects.filter(group=office.group).delete()
        office.assign(office.member, own)
        office.assign(office.group, by_group)
        office.assign(office.group, in_project, office.project)
        CustomRole.objects.filter(pk=office.custom.pk).update(permissions=sorted(custom))
        roles.assign(office.custom, to=office.member)
        standing = standing_of(office.member)
    everywhere = frozenset(EVERYBODY).union(custom, *(MATRIX[role] for role in own | by_group))
    there = frozenset[Permission]().union(*(MATRIX[role] for role in in_project)) - NEVER_IN_A_PROJECT
    assert standing.everywhere == everywhere
    assert standing.roles == own | by_group
    assert standing.permissions_in(office.project.pk) == everywhere | there
    assert standing.permissions_in(office.owner.project.pk) == everywhere
    assert standing.permissions_in(None) == everywhere


def test_what_a_role_may_do_in_one_project_it_may_not_do_in_another(owner: Person) -> None:
    person = new_person(joining=owner)
    with owner.acting():
        other = start_project("Other")
        roles.assign(BuiltIn(Role.VIEWER), to=member_of(person), project=other)
    here, there = owner.project.public_id, other.public_id
    assert person.browser.get("/v1/files", headers={"OpenAI-Project": here}).status_code == 403
    assert person.browser.get("/v1/files", headers={"OpenAI-Project": there}).status_code == 200


def test_an_admin_of_a_project_does_not_administer_the_organization(owner: Person) -> None:
    lead = new_person(joining=owner)
    with owner.acting():
        roles.assign(BuiltIn(Role.ADMIN), to=member_of(lead), project=owner.project)
        standing = standing_of(member_of(lead))
    assert not standing.permissions_in(owner.project.pk) & NEVER_IN_A_PROJECT
    assert standing.everywhere == EVERYBODY
    for address in ("/v1/organization/users", "/v1/organization/groups", "/v1/organization/invites"):
        assert lead.browser.get(address).status_code == 403


def test_a_role_in_a_project_opens_it(owner: Person) -> None:
    person = new_person(joining=owner)
    with owner.acting():
        other = start_project("Other")
        member = member_of(person)
        assert other not in projects_for(person.user, standing_of(member))
        roles.assign(BuiltIn(Role.VIEWER), to=member, project=other)
        assert other in projects_for(person.user, standing_of(member))


def test_one_who_is_deactivated_may_do_nothing(owner: Person, teammate: Person) -> None:
    with owner.acting():
        member = member_of(teammate)
        Member.objects.filter(pk=member.pk).update(deactivated_at="2026-01-01T00:00:00Z")
        member.refresh_from_db()
        standing = standing_of(member)
    assert (standing.everywhere, standing.roles, standing.in_projects) == (frozenset(), frozenset(), {})
    assert teammate.browser.get("/v1/files").status_code == 401


def test_a_permission_that_no_longer_exists_grants_nothing(office: Office) -> None:
    with office.owner.acting():
        CustomRole.objects.filter(pk=office.custom.pk).update(permissions=["file.burn", "file.read"])
        roles.assign(office.custom, to=office.member)
        assert standing_of(office.member).everywhere == EVERYBODY | {Permission.FILE_READ}


def test_a_standing_costs_the_same_queries_however_many_roles_there_are(office: Office) -> None:
    def queries() -> int:
        with office.owner.acting(), CaptureQueriesContext(connection) as asked:
            standing_of(office.member)
        return len(asked)

    with office.owner.acting():
        roles.assign(office.custom, to=office.member)
    few = queries()
    with office.owner.acting():
        office.assign(office.member, frozenset(Role))
        for number in range(20):
            group = groups.make_group(f"Group {number}")
            groups.add_to_group(group, office.member, by=None)
            own: Any = CustomRole.objects.create(name=f"Role {number}", permissions=["file.read"])
            roles.assign(own, to=group, project=office.project)
    assert queries() == few


def test_a_role_of_another_organization_is_not_found(owner: Person, stranger: Person) -> None:
    with stranger.acting():
        foreign = CustomRole.objects.create(id=ids.uuid7(), name="Theirs", permissions=["file.read"])
    address = f"/v1/organization/users/{owner.user.public_id}/roles"
    answer = owner.browser.post(address, {"role_id": foreign.public_id}, content_type="application/json")
    assert answer.status_code == 404
