"""What a key may do: what it was given, where it was given, and never more than its maker may do now."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.tenancy.scope import across_tenants
from tenants.access.authentication import live_key, principal_of_key
from tenants.access.models import ApiKey, CustomRole, Member, RoleAssignment
from tenants.access.permissions import KEY_PERMISSIONS, Permission, Role
from tenants.access.powers import powers_of
from tenants.access.services import keys, members, people, roles
from tenants.access.services.roles import BuiltIn
from tenants.access.sessions import principal_for
from tenants.organizations.models import Organization, OrganizationState
from tenants.organizations.services.projects import archive_project, start_project
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import JSON, answer_to, made, program, row_of

HERE = "127.0.0.1"


def test_a_key_shows_all_that_binds_it_and_its_secret_only_once(owner: Person) -> None:
    with owner.acting():
        second = start_project("Second project")
    until = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    wish = {
        "permissions": ["file.read", "inference.complete"],
        "projects": [second.public_id],
        "models": ["support"],
        "networks": ["10.1.0.0/16", "2001:db8::/32", "127.0.0.1"],
        "expires_at": until.isoformat(),
    }
    key = made(owner, **wish)
    secret = key.pop("secret")
    listed = owner.browser.get("/api/v1/api-keys").json()["data"][0]
    assert listed == key == owner.browser.get(f"/api/v1/api-keys/{key['id']}").json()
    assert key["permissions"] == wish["permissions"]
    assert key["projects"] == [{"id": second.public_id, "name": "Second project"}]
    assert (key["models"], key["networks"]) == (["support"], ["10.1.0.0/16", "2001:db8::/32", "127.0.0.1/32"])
    assert datetime.fromisoformat(key["expires_at"]) == until
    assert key["owner"] == {"type": "user", "id": owner.user.public_id, "name": owner.user.name}
    assert key["redacted_value"] == f"{secret[:7]}…{secret[-4:]}"
    assert secret not in str(listed)


def test_a_key_with_few_permissions_is_refused_the_others(owner: Person) -> None:
    key = made(owner, permissions=["file.read"])
    assert answer_to(key["secret"]) == (200, None)
    assert answer_to(key["secret"], "/v1/fine_tuning/jobs") == (403, "permission_denied")


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"permissions": ["key.write"]}, "permissions"),
        ({"permissions": ["chat.use"]}, "permissions"),
        ({"permissions": ["no.such"]}, "permissions"),
        ({"permissions": []}, "permissions"),
        ({"permissions": "file.read"}, "permissions"),
        ({"projects": ["proj_" + "0" * 32]}, "projects"),
        ({"projects": ["nonsense"]}, "projects"),
        ({"models": [""]}, "models"),
        ({"models": ["a\u200b"]}, "models"),
        ({"networks": ["10.0.0.1/8"]}, "networks"),
        ({"networks": ["example.com"]}, "networks"),
        ({"networks": ["10.0.0.0/33"]}, "networks"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"name": "a\u0007b"}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_name(
    owner: Person, wish: dict[str, Any], param: str
) -> None:
    answer = owner.browser.post("/api/v1/api-keys", {"name": "x", **wish}, content_type=JSON)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["param"].startswith(param)
    with owner.acting():
        assert ApiKey.objects.count() == 1


def test_nobody_gives_a_key_what_they_may_not_do_themselves(owner: Person) -> None:
    keeper = keeper_of_keys(owner, Permission.FILE_READ)
    answer = keeper.browser.post(
        "/api/v1/api-keys", {"name": "x", "permissions": ["file.write"]}, content_type=JSON
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "escalation")
    assert made(keeper, permissions=["file.read"])["permissions"] == ["file.read"]
    assert "file.write" not in made(keeper)["permissions"]


def test_a_key_reaches_only_projects_that_its_maker_reaches(owner: Person, stranger: Person) -> None:
    with owner.acting():
        closed = start_project("Closed project")
    keeper = keeper_of_keys(owner, Permission.FILE_READ)
    for unreachable in (closed.public_id, stranger.project.public_id):
        answer = keeper.browser.post(
            "/api/v1/api-keys", {"name": "x", "projects": [unreachable]}, content_type=JSON
        )
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "projects")


def test_the_header_chooses_among_the_projects_of_a_key(owner: Person, stranger: Person) -> None:
    with owner.acting():
        second, third = start_project("Second project"), start_project("Third project")
    secret = made(owner, projects=[second.public_id])["secret"]
    for project in (owner.project, second):
        session = program(secret, OpenAI_Project=project.public_id).get("/api/v1/session").json()
        assert session["project"]["id"] == project.public_id
    assert program(secret).get("/api/v1/session").json()["project"]["id"] == owner.project.public_id
    for other in (third, stranger.project):
        assert answer_to(secret, OpenAI_Project=other.public_id) == (401, "mismatched_project")


def test_a_key_works_from_its_networks_only_and_a_made_up_header_changes_nothing(
    owner: Person, settings_with: Any
) -> None:
    inside, outside = (
        made(owner, networks=["127.0.0.0/8"]),
        made(owner, networks=["203.0.113.0/24", "::1/128"]),
    )
    assert answer_to(inside["secret"]) == (200, None)
    assert answer_to(outside["secret"]) == (401, "ip_not_authorized")
    spoofed = {"X_Forwarded_For": "203.0.113.7"}
    assert answer_to(outside["secret"], **spoofed) == (401, "ip_not_authorized")
    assert answer_to(inside["secret"], **spoofed) == (200, None)
    with settings_with(TRUSTED_PROXIES=[keys.addresses.network("127.0.0.1")]):
        assert answer_to(outside["secret"], **spoofed) == (200, None)
        assert answer_to(inside["secret"], **spoofed) == (401, "ip_not_authorized")


def test_a_key_ends_when_it_expires(owner: Person) -> None:
    key = made(owner, expires_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    assert answer_to(key["secret"]) == (200, None)
    time.sleep(1.1)
    assert answer_to(key["secret"]) == (401, "invalid_api_key")


def test_a_key_follows_its_makers_roles_at_once(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    assert answer_to(worker.secret) == (200, None)
    with owner.acting():
        member = Member.objects.get(user=worker.user)
        roles.unassign(BuiltIn(Role.DATA_ENGINEER), of=member)
    assert answer_to(worker.secret) == (403, "permission_denied")
    with owner.acting():
        roles.assign(BuiltIn(Role.VIEWER), to=member, project=owner.project)
    assert answer_to(worker.secret) == (200, None)


def test_the_key_of_somebody_who_is_shut_out_does_nothing(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    with owner.acting():
        Member.objects.filter(user=worker.user).update(deactivated_at=datetime.now(UTC))
    assert answer_to(worker.secret) == (403, "key_owner_inactive")
    with owner.acting():
        Member.objects.filter(user=worker.user).update(deactivated_at=None)
        members.remove_member(Member.objects.get(user=worker.user), by=None)
    assert answer_to(worker.secret)[0] == 401


def test_a_key_of_a_project_that_was_closed_to_its_maker_does_nothing_there(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    with owner.acting():
        second = start_project("Second project")
        key = keys.make_api_key("Elsewhere", project=second, by=worker.user)
    assert answer_to(key.secret) == (403, "permission_denied")
    with owner.acting():
        people.open_project_to(worker.user, second)
    assert answer_to(key.secret) == (200, None)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (OrganizationState.SUSPENDED, "organization_suspended"),
        (OrganizationState.CLOSING, "organization_closing"),
        (OrganizationState.CLOSED, "organization_closed"),
    ],
)
def test_keys_of_an_organization_that_is_not_active_are_refused(
    owner: Person, state: OrganizationState, code: str
) -> None:
    with owner.acting():
        admin = keys.make_admin_key(keys.KeyWish(name="Administration"), by=owner.principal)
        Organization.objects.filter(pk=owner.organization.pk).update(state=state)
    assert answer_to(owner.secret) == (403, code)
    assert answer_to(admin.secret, "/v1/organization/projects") == (403, code)


def test_keys_of_an_archived_project_are_refused(owner: Person) -> None:
    with owner.acting():
        second = start_project("Second project")
    both, home = made(owner, projects=[second.public_id]), owner.secret
    with owner.acting():
        archive_project(second)
    assert answer_to(both["secret"]) == (200, None)
    assert answer_to(both["secret"], OpenAI_Project=second.public_id) == (403, "project_archived")
    with owner.acting():
        archive_project(owner.project)
    assert answer_to(both["secret"]) == answer_to(home) == (403, "project_archived")


def test_an_administration_key_does_no_work_in_a_project(owner: Person) -> None:
    with owner.acting():
        secret = keys.make_admin_key(keys.KeyWish(name="Administration"), by=owner.principal).secret
    assert answer_to(secret, "/v1/organization/projects") == (200, None)
    assert answer_to(secret) == (403, "permission_denied")
    assert answer_to(secret, OpenAI_Project=owner.project.public_id) == (401, "mismatched_project")


PLACES = st.sampled_from(["organization", "first", "second"])
HELD = st.lists(st.tuples(st.sampled_from(list(Role)), PLACES), max_size=4)


@pytest.fixture(scope="module")
def household(stores: Any) -> Person:
    """One organization for all examples of the law; each example has a member of its own."""
    return new_person()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=HELD, given=st.sets(st.sampled_from(sorted(Permission))), opened=st.booleans())
def test_a_key_never_has_a_permission_that_its_maker_lacks(
    household: Person, held: list[tuple[Role, str]], given: set[Permission], opened: bool
) -> None:
    worker = new_person(Role.END_USER, joining=household)
    with household.acting():
        second = start_project(f"Second project of {worker.user.email}")
        member = Member.objects.get(user=worker.user)
        RoleAssignment.objects.filter(member=member).delete()
        places = {"organization": None, "first": household.project, "second": second}
        for role, place in held:
            roles.assign(BuiltIn(role), to=member, project=places[place])
        if opened:
            people.open_project_to(worker.user, second)
        made = keys.create(
            keys.KeyWish(name="Any", projects=[second]),
            given,
            ApiKey(project=household.project, created_by=worker.user),
        )
        powers = powers_of([made.key])[made.key.pk]
    for project in (household.project, second):
        person = principal_for(worker.user, str(household.organization.pk), str(project.pk))
        assert person is not None
        may = person.permissions if person.project == project.pk else frozenset()
        expected = frozenset(given) & KEY_PERMISSIONS & may
        assert powers.in_projects[project.pk] == expected
        header = f"Bearer {made.secret}"
        assert principal_of_key(header, project.public_id, address=HERE).permissions == expected
    assert not powers.everywhere


def test_a_hundred_keys_cost_as_many_queries_as_one(owner: Person) -> None:
    with owner.acting():
        for number in range(3):
            keys.make_api_key(f"Key {number}", project=owner.project, by=owner.user)
        rows = list(ApiKey.objects.all())
        counts = []
        for some in (rows[:1], rows):
            connection.force_debug_cursor = True
            before = len(connection.queries_log)
            powers_of(some)
            counts.append(len(connection.queries_log) - before)
            connection.force_debug_cursor = False
    assert counts[0] == counts[1]


def test_a_secret_is_looked_up_through_indexes_present_or_rotated_out(owner: Person) -> None:
    wanted = row_of(owner, {"name": "A key"}).secret_hash
    with across_tenants(), connection.cursor() as cursor:
        connection.force_debug_cursor = True
        try:
            assert live_key(wanted) is not None
            query = next(q["sql"] for q in reversed(connection.queries_log) if "secret_hash" in q["sql"])
        finally:
            connection.force_debug_cursor = False
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "previous_hash_once" in plan


def keeper_of_keys(owner: Person, *permissions: Permission) -> Person:
    """Somebody who may make keys in the owner's project, and besides that only this."""
    keeper = new_person(Role.END_USER, joining=owner)
    allowed = {Permission.KEY_READ, Permission.KEY_WRITE, *permissions}
    with owner.acting():
        role = CustomRole.objects.create(name="Keeper of keys", permissions=sorted(allowed))
        roles.assign(role, to=Member.objects.get(user=keeper.user))
    return keeper
