"""Members over OpenAI's administration API: listed, given a role, removed, and ownership handed over."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from django.db import connections

from kernel.audit.models import AuditEntry
from kernel.events.models import OutboxEvent
from kernel.tenancy.scope import acting_for
from tenants.access.models import ApiKey, Member, RoleAssignment, TenantUserPermission
from tenants.access.permissions import Role
from tenants.access.services import members
from tenants.access.services.roles import LastOwner
from tests.cast import Person, new_person
from tests.tenants.administration.offices import admin_client, call, queries_of, refused
from tests.tenants.administration.published import conforms

USERS = "/v1/organization/users"


def test_the_official_client_lists_gets_changes_and_removes_members(owner: Person) -> None:
    teammate = new_person(Role.VIEWER, joining=owner)
    users = admin_client(owner).admin.organization.users
    assert {user.id for user in users.list()} == {owner.user.public_id, teammate.user.public_id}
    found = users.retrieve(owner.user.public_id)
    assert (found.role, found.email) == ("owner", owner.user.email)
    assert users.retrieve(teammate.user.public_id).role == "reader"
    assert users.update(teammate.user.public_id, role_id="role_end_user").id == teammate.user.public_id
    assert users.delete(teammate.user.public_id).deleted
    with pytest.raises(openai.NotFoundError):
        users.retrieve(teammate.user.public_id)


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    teammate = new_person(Role.VIEWER, joining=owner)
    one = f"{USERS}/{teammate.user.public_id}"
    conforms("UserListResponse", call(owner, "get", USERS).json())
    conforms("User", call(owner, "get", one).json())
    conforms("User", call(owner, "post", one, {"role": "owner"}).json())
    conforms("UserDeleteResponse", call(owner, "delete", one).json())


def test_a_list_is_cut_into_pages_and_filtered_by_address(owner: Person) -> None:
    people = [owner, *(new_person(Role.VIEWER, joining=owner) for _ in range(4))]
    users = admin_client(owner).admin.organization.users
    assert [user.id for user in users.list(limit=2)] == [person.user.public_id for person in people]
    wanted = [people[1].user.email.upper(), people[3].user.email]
    assert [user.email for user in users.list(emails=wanted)] == [wanted[0].lower(), wanted[1]]
    assert call(owner, "get", f"{USERS}?limit=0").status_code == 400
    assert call(owner, "get", f"{USERS}?limit=101").status_code == 400
    assert refused(call(owner, "get", f"{USERS}?after=user-xyz"), 404, "not_found")


def test_a_stranger_neither_sees_nor_changes_a_member(owner: Person, stranger: Person) -> None:
    teammate = new_person(Role.VIEWER, joining=owner)
    one = f"{USERS}/{teammate.user.public_id}"
    assert call(owner, "get", one).status_code == 200
    assert call(stranger, "get", one).status_code == 404
    assert call(stranger, "post", one, {"role": "owner"}).status_code == 404
    assert call(stranger, "delete", one).status_code == 404
    assert teammate.user.public_id not in call(stranger, "get", USERS).content.decode()
    transfer = {"user_id": teammate.user.public_id}
    assert call(stranger, "post", "/api/v1/organization/transfer", transfer).status_code == 404
    assert call(owner, "get", one).json()["role"] == "reader"


def test_a_member_without_the_permission_is_refused(owner: Person, teammate: Person) -> None:
    assert refused(call(teammate, "get", USERS), 403, "permission_denied")
    assert refused(
        call(teammate, "post", f"{USERS}/{owner.user.public_id}", {"role": "reader"}),
        403,
        "permission_denied",
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"role": "emperor"}, "role"),
        ({"role": "owner", "role_id": "role_owner"}, "role_id"),
        ({"role": 1}, "role"),
        ({"salary": 1}, "salary"),
    ],
)
def test_a_bad_change_names_what_is_wrong(owner: Person, body: dict[str, Any], param: str) -> None:
    answer = call(owner, "post", f"{USERS}/{owner.user.public_id}", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_an_admin_can_neither_demote_nor_remove_an_owner_nor_make_one(owner: Person) -> None:
    admin, viewer = new_person(Role.ADMIN, joining=owner), new_person(Role.VIEWER, joining=owner)
    their = f"{USERS}/{owner.user.public_id}"
    assert refused(call(admin, "post", their, {"role": "viewer"}), 403, "escalation")
    assert refused(call(admin, "delete", their), 403, "escalation")
    assert refused(
        call(admin, "post", f"{USERS}/{viewer.user.public_id}", {"role": "owner"}), 403, "escalation"
    )
    assert call(admin, "post", f"{USERS}/{viewer.user.public_id}", {"role": "admin"}).status_code == 200


def test_an_administration_key_makes_no_admins(owner: Person) -> None:
    viewer = new_person(Role.VIEWER, joining=owner)
    users = admin_client(owner).admin.organization.users
    for role in ("owner", "admin"):
        with pytest.raises(openai.PermissionDeniedError) as refusal:
            users.update(viewer.user.public_id, role=role)
        assert refusal.value.code == "escalation"


def test_the_last_owner_can_neither_be_demoted_nor_removed_nor_deactivated(owner: Person) -> None:
    their = f"{USERS}/{owner.user.public_id}"
    assert refused(call(owner, "post", their, {"role": "admin"}), 409, "last_owner")
    assert refused(call(owner, "delete", their), 409, "last_owner")
    with pytest.raises(LastOwner), owner.acting():
        members.deactivate_member(Member.objects.get(user=owner.user), by=None)
    assert call(owner, "get", their).json()["role"] == "owner"


def at_once(*acts: Any) -> list[str]:
    """Do these in threads of their own at the same time; 'done', or the fault's name."""

    def run(act: Any) -> str:
        try:
            act()
        except Exception as fault:
            return type(fault).__name__
        finally:
            connections.close_all()
        return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))


@pytest.mark.parametrize("act", ["remove", "demote", "deactivate"])
def test_two_owners_who_end_one_another_at_once_leave_one(owner: Person, act: str) -> None:
    other = new_person(Role.OWNER, joining=owner)

    def end(whom: Person, by: Person) -> Any:
        principal = by.principal

        def run() -> None:
            with acting_for(owner.organization.pk):
                member = Member.objects.get(user=whom.user)
                if act == "remove":
                    members.remove_member(member, by=principal)
                elif act == "demote":
                    members.set_roles(member, [], by=principal)
                else:
                    members.deactivate_member(member, by=principal)

        return run

    assert at_once(end(other, owner), end(owner, other)) == ["LastOwner", "done"]
    with owner.acting():
        left = RoleAssignment.objects.filter(builtin="owner", member__deactivated_at=None)
        assert left.count() == 1


def test_removing_a_member_ends_what_is_theirs_and_nothing_else(owner: Person, teammate: Person) -> None:
    other = new_person(Role.VIEWER, joining=owner)
    brought = teammate.openai.files.create(file=("a.jsonl", b"{}\n"), purpose="fine-tune")
    browser = teammate.browser
    assert call(owner, "delete", f"{USERS}/{teammate.user.public_id}").status_code == 200
    with owner.acting():
        ended = ApiKey.objects.get(created_by=teammate.user)
        assert ended.revoked_at is not None
        assert OutboxEvent.objects.filter(name="tenants.api_key.revoked.v1", aggregate_id=ended.pk).exists()
        assert OutboxEvent.objects.filter(name="tenants.member.removed.v1").count() == 1
        assert ApiKey.objects.filter(created_by=other.user, revoked_at=None).exists()
        assert not TenantUserPermission.objects.filter(user=teammate.user).exists()
        assert AuditEntry.objects.filter(action="member.remove", actor=owner.user.public_id).exists()
    assert teammate.program.get("/v1/files").status_code == 401
    assert browser.get("/api/v1/session").status_code == 401
    assert other.program.get("/v1/files").status_code == 200
    assert owner.openai.files.retrieve(brought.id).id == brought.id


def test_a_deactivated_member_comes_back_with_their_roles(owner: Person) -> None:
    viewer = new_person(Role.VIEWER, joining=owner)
    with owner.acting():
        member = Member.objects.get(user=viewer.user)
        members.deactivate_member(member, by=None)
        members.deactivate_member(member, by=None)
    assert viewer.browser.get("/api/v1/session").status_code == 401
    shown = call(owner, "get", f"{USERS}/{viewer.user.public_id}").json()
    assert shown["user"]["enabled"] is False
    with owner.acting():
        members.reactivate_member(member, by=None)
    assert viewer.browser.get("/api/v1/session").json()["role"] == "viewer"


def test_the_owner_hands_the_organization_over_and_stays_as_an_admin(owner: Person) -> None:
    heir = new_person(Role.VIEWER, joining=owner)
    body = {"user_id": heir.user.public_id}
    assert refused(call(heir, "post", "/api/v1/organization/transfer", body), 403, "permission_denied")
    answer = call(owner, "post", "/api/v1/organization/transfer", body)
    assert (answer.status_code, answer.json()["role"]) == (200, "owner")
    assert owner.browser.get("/api/v1/session").json()["role"] == "admin"
    assert refused(call(owner, "post", "/api/v1/organization/transfer", body), 403, "permission_denied")
    with owner.acting():
        entry = AuditEntry.objects.get(action="organization.transfer")
        assert entry.details == {"before": owner.user.public_id, "after": heir.user.public_id}


def test_ownership_is_not_handed_to_oneself_or_to_one_who_is_shut_out(owner: Person) -> None:
    gone = new_person(Role.VIEWER, joining=owner)
    with owner.acting():
        members.deactivate_member(Member.objects.get(user=gone.user), by=None)
    for person in (owner, gone):
        answer = call(owner, "post", "/api/v1/organization/transfer", {"user_id": person.user.public_id})
        assert refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("address", [USERS, "/v1/organization/projects/{project}/users"])
def test_a_list_of_many_members_costs_no_more_queries_than_one_of_few(owner: Person, address: str) -> None:
    here = address.format(project=owner.project.public_id)
    new_person(Role.VIEWER, joining=owner)
    few = queries_of(owner, here)
    for _ in range(5):
        new_person(Role.VIEWER, joining=owner)
    assert queries_of(owner, here) == few
