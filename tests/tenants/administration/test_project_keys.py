"""A project's API keys over OpenAI's administration API."""

from tenants.access.models import Member
from tenants.access.permissions import Role
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import answer_to
from tests.tenants.administration.offices import admin_client, call, queries_of, refused
from tests.tenants.administration.published import conforms
from tests.tenants.administration.test_service_accounts import made


def keys_of(person: Person) -> str:
    return f"/v1/organization/projects/{person.project.public_id}/api_keys"


def test_the_official_client_lists_gets_and_deletes_keys(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    keys = admin_client(owner).admin.organization.projects.api_keys
    project = owner.project.public_id
    mine, theirs = list(keys.list(project))
    assert (mine.owner.type, theirs.owner.type) == ("user", "user")
    assert mine.owner.user is not None
    assert theirs.owner.user is not None
    assert (mine.owner.user.role, theirs.owner.user.role) == ("owner", "member")
    assert theirs.owner.user.email == worker.user.email
    assert keys.retrieve(theirs.id, project_id=project).redacted_value.startswith("lw_")
    assert worker.secret not in keys.list(project).to_json()
    # An administration key that may write keys ends them.
    assert keys.delete(theirs.id, project_id=project).deleted
    assert answer_to(worker.secret) == (401, "invalid_api_key")


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    made(owner)
    listed = conforms("ProjectApiKeyListResponse", call(owner, "get", keys_of(owner)).json())
    assert [key["owner"]["type"] for key in listed["data"]] == ["user", "service_account"]
    one = f"{keys_of(owner)}/{listed['data'][0]['id']}"
    conforms("ProjectApiKey", call(owner, "get", one).json())
    conforms("ProjectApiKeyDeleteResponse", call(owner, "delete", one).json())
    assert call(owner, "get", one).status_code == 404


def test_keys_are_told_apart_by_whether_their_owner_reaches_the_project(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    robot = made(owner)["api_key"]["id"]
    with owner.acting():
        member = Member.objects.get(user=worker.user)
        Member.objects.filter(pk=member.pk).update(deactivated_at=member.created_at)
    seen = {access: ids_of(owner, access) for access in ("active", "inactive", "any")}
    assert len(seen["active"]) == 2
    assert robot in seen["active"]
    [inactive] = seen["inactive"]
    assert set(seen["any"]) == {inactive, *seen["active"]}
    assert call(owner, "get", f"{keys_of(owner)}/{inactive}").json()["owner_project_access"] == "inactive"
    assert call(owner, "get", f"{keys_of(owner)}?owner_project_access=x").status_code == 400


def ids_of(person: Person, access: str) -> list[str]:
    found = call(person, "get", f"{keys_of(person)}?owner_project_access={access}").json()["data"]
    return [key["id"] for key in found]


def test_a_service_accounts_key_is_deleted_with_its_account(owner: Person) -> None:
    robot = made(owner)["api_key"]
    one = f"{keys_of(owner)}/{robot['id']}"
    assert refused(call(owner, "delete", one), 400, "invalid_request")
    assert answer_to(robot["value"]) == (200, None)


def test_a_strangers_key_does_not_exist(owner: Person, stranger: Person) -> None:
    [key] = call(owner, "get", keys_of(owner)).json()["data"]
    for collection in (keys_of(owner), keys_of(stranger)):
        assert call(stranger, "get", f"{collection}/{key['id']}").status_code == 404
        assert call(stranger, "delete", f"{collection}/{key['id']}").status_code == 404
    assert call(stranger, "get", keys_of(owner)).status_code == 404
    assert answer_to(owner.secret) == (200, None)


def test_a_member_without_the_permission_is_refused(owner: Person, teammate: Person) -> None:
    assert refused(call(teammate, "get", keys_of(owner)), 403, "permission_denied")


def test_a_list_costs_the_same_for_many_keys_as_for_one(owner: Person) -> None:
    before = queries_of(owner, keys_of(owner))
    for _ in range(4):
        new_person(Role.VIEWER, joining=owner)
    assert queries_of(owner, keys_of(owner)) == before
