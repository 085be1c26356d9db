"""Service accounts over OpenAI's administration API, and what their keys may do."""

from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import ApiKey, CustomRole, Member, ServiceAccount
from tenants.access.permissions import KEY_PERMISSIONS, Permission, Role
from tenants.access.services import roles
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import answer_to
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms


def accounts_of(person: Person) -> str:
    return f"/v1/organization/projects/{person.project.public_id}/service_accounts"


def made(person: Person, **body: Any) -> dict[str, Any]:
    answer = call(person, "post", accounts_of(person), {"name": "Robot", **body})
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def test_the_official_client_makes_changes_and_deletes_service_accounts(owner: Person) -> None:
    accounts = admin_client(owner).admin.organization.projects.service_accounts
    project = owner.project.public_id
    robot = accounts.create(project, name="Robot")
    assert robot.role == "member"
    assert robot.api_key is not None
    assert answer_to(robot.api_key.value) == (200, None)
    assert [account.id for account in accounts.list(project)] == [robot.id]
    assert accounts.retrieve(robot.id, project_id=project).name == "Robot"
    assert accounts.update(robot.id, project_id=project, name="Robots").name == "Robots"
    further = accounts.api_keys.create(robot.id, project_id=project, name="Another", scopes=["file.read"])
    assert answer_to(further.value) == (200, None)
    assert answer_to(further.value, "/v1/fine_tuning/jobs") == (403, "permission_denied")
    assert accounts.delete(robot.id, project_id=project).deleted
    assert answer_to(robot.api_key.value) == answer_to(further.value) == (401, "invalid_api_key")
    assert list(accounts.list(project)) == []


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    shown = conforms("ProjectServiceAccountCreateResponse", made(owner))
    one = f"{accounts_of(owner)}/{shown['id']}"
    conforms("ProjectServiceAccountListResponse", call(owner, "get", accounts_of(owner)).json())
    conforms("ProjectServiceAccount", call(owner, "get", one).json())
    conforms("ProjectServiceAccount", call(owner, "post", one, {"role": "owner"}).json())
    conforms("ServiceAccountApiKeyBody", call(owner, "post", f"{one}/api_keys", {}).json())
    conforms("ProjectServiceAccountDeleteResponse", call(owner, "delete", one).json())
    alone = made(owner, create_service_account_only=True)
    assert conforms("ProjectServiceAccountCreateResponse", alone)["api_key"] is None


def test_a_service_account_without_a_role_does_nothing_until_it_has_one(owner: Person) -> None:
    alone = made(owner, create_service_account_only=True)
    assert alone["role"] == "none"
    one = f"{accounts_of(owner)}/{alone['id']}"
    secret = call(owner, "post", f"{one}/api_keys", {}).json()["value"]
    assert answer_to(secret) == (403, "permission_denied")
    assert call(owner, "post", one, {"role": "member"}).json()["role"] == "member"
    assert answer_to(secret) == (200, None)


def test_a_service_accounts_key_does_not_depend_on_who_made_it(owner: Person) -> None:
    admin = new_person(Role.ADMIN, joining=owner)
    secret = made(admin)["api_key"]["value"]
    with owner.acting():
        roles.unassign(roles.BuiltIn(Role.ADMIN), of=Member.objects.get(user=admin.user))
    assert answer_to(secret) == (200, None)


def test_nobody_makes_a_service_account_that_may_do_more_than_they(owner: Person) -> None:
    keeper = new_person(Role.END_USER, joining=owner)
    allowed = [Permission.SERVICE_ACCOUNT_READ, Permission.SERVICE_ACCOUNT_WRITE, Permission.FILE_READ]
    with owner.acting():
        role = CustomRole.objects.create(name="Keeper", permissions=[str(one) for one in allowed])
        roles.assign(role, to=Member.objects.get(user=keeper.user))
    assert refused(call(keeper, "post", accounts_of(owner), {"name": "Robot"}), 403, "escalation")
    alone = made(keeper, create_service_account_only=True)
    one = f"{accounts_of(owner)}/{alone['id']}"
    assert refused(call(keeper, "post", one, {"role": "member"}), 403, "escalation")
    assert refused(call(keeper, "post", f"{one}/api_keys", {}), 403, "escalation")
    assert call(keeper, "post", f"{one}/api_keys", {"scopes": ["file.read"]}).status_code == 200


def test_its_keys_never_administer(owner: Person) -> None:
    secret = made(owner)["api_key"]["value"]
    for address in ("/v1/organization/projects", "/v1/organization/audit_logs", accounts_of(owner)):
        assert answer_to(secret, address) == (403, "permission_denied")
    with owner.acting():
        key = ApiKey.objects.exclude(service_account=None).get()
    assert set(key.permissions) == KEY_PERMISSIONS


@pytest.mark.parametrize(
    ("body", "param"),
    [({"name": ""}, "name"), ({"name": "a\tb"}, "name"), ({"create_service_account_only": "yes"}, "create_")],
)
def test_a_service_account_that_makes_no_sense_is_refused(
    owner: Person, body: dict[str, Any], param: str
) -> None:
    answer = call(owner, "post", accounts_of(owner), {"name": "Robot", **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    with owner.acting():
        assert ServiceAccount.objects.count() == 0


def test_a_role_or_scope_that_there_is_not_is_refused(owner: Person) -> None:
    one = f"{accounts_of(owner)}/{made(owner)['id']}"
    assert call(owner, "post", one, {"role": "emperor"}).json()["error"]["param"] == "role"
    answer = call(owner, "post", f"{one}/api_keys", {"scopes": ["member.write"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "permissions")


def test_a_strangers_service_account_does_not_exist(owner: Person, stranger: Person) -> None:
    robot = made(owner)["id"]
    for collection in (accounts_of(owner), accounts_of(stranger)):
        one = f"{collection}/{robot}"
        assert call(stranger, "get", one).status_code == 404
        assert call(stranger, "post", one, {"name": "Mine"}).status_code == 404
        assert call(stranger, "post", f"{one}/api_keys", {}).status_code == 404
        assert call(stranger, "delete", one).status_code == 404
    assert call(stranger, "get", accounts_of(owner)).status_code == 404
    assert call(stranger, "post", accounts_of(owner), {"name": "Mine"}).status_code == 404
    assert call(owner, "get", f"{accounts_of(owner)}/{robot}").json()["name"] == "Robot"


def test_what_is_done_is_in_the_audit_log_without_secrets(owner: Person) -> None:
    shown = made(owner)
    one = f"{accounts_of(owner)}/{shown['id']}"
    call(owner, "post", one, {"name": "Robots"})
    call(owner, "delete", one)
    with owner.acting():
        entries = list(AuditEntry.objects.filter(target=shown["id"]).order_by("pk"))
    assert [entry.action.rpartition(".")[2] for entry in entries] == ["create", "update", "delete"]
    assert entries[1].details["before"]["name"] == "Robot"
    assert shown["api_key"]["value"] not in str([entry.details for entry in entries])
