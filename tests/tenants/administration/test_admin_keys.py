"""Administration keys over OpenAI's administration API: only people make them, and they are shown once."""

import time

import openai
import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import ApiKey, Member
from tenants.access.permissions import ADMIN_KEY_PERMISSIONS, MATRIX, Permission, Role
from tenants.access.services import roles
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import answer_to
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

ADMIN_KEYS = "/v1/organization/admin_api_keys"


def test_a_person_makes_a_key_that_is_shown_once(owner: Person) -> None:
    made = conforms("AdminApiKeyCreateResponse", call(owner, "post", ADMIN_KEYS, {"name": "Ops"}).json())
    assert answer_to(made["value"], "/v1/organization/projects") == (200, None)
    listed = conforms("ApiKeyList", call(owner, "get", ADMIN_KEYS).json())
    assert made["value"] not in str(listed)
    one = conforms("AdminApiKey", call(owner, "get", f"{ADMIN_KEYS}/{made['id']}").json())
    assert (one["name"], one["expires_at"], one["owner"]["role"]) == ("Ops", None, "owner")
    assert one["owner"]["id"] == owner.user.public_id
    with owner.acting():
        key = ApiKey.objects.get(name="Ops")
        assert set(key.permissions) == ADMIN_KEY_PERMISSIONS
        assert made["value"] not in str(key.__dict__)
        assert made["value"] not in str([entry.details for entry in AuditEntry.objects.all()])


def test_no_key_makes_or_deletes_keys_of_its_kind(owner: Person) -> None:
    keys = admin_client(owner).admin.organization.admin_api_keys
    [own] = list(keys.list())
    assert keys.retrieve(own.id).redacted_value == own.redacted_value
    with pytest.raises(openai.PermissionDeniedError):
        keys.create(name="Child")
    with pytest.raises(openai.PermissionDeniedError):
        keys.delete(own.id)
    assert Permission.ADMIN_KEY_WRITE not in ADMIN_KEY_PERMISSIONS


def test_a_key_ends_when_it_is_deleted_or_expires(owner: Person) -> None:
    lasting = call(owner, "post", ADMIN_KEYS, {"name": "Lasting"}).json()
    brief = call(owner, "post", ADMIN_KEYS, {"name": "Brief", "expires_in_seconds": 1}).json()
    assert 0 <= brief["expires_at"] - brief["created_at"] <= 2
    time.sleep(1.1)
    assert answer_to(brief["value"], "/v1/organization/projects") == (401, "invalid_api_key")
    deleted = call(owner, "delete", f"{ADMIN_KEYS}/{lasting['id']}")
    expected = {"object": "organization.admin_api_key.deleted", "id": lasting["id"], "deleted": True}
    assert deleted.json() == expected
    assert answer_to(lasting["value"], "/v1/organization/projects") == (401, "invalid_api_key")
    assert call(owner, "get", f"{ADMIN_KEYS}/{lasting['id']}").status_code == 404


def test_a_key_follows_its_makers_roles(owner: Person) -> None:
    admin = new_person(Role.ADMIN, joining=owner)
    secret = call(admin, "post", ADMIN_KEYS, {"name": "Ops"}).json()["value"]
    assert answer_to(secret, "/v1/organization/users") == (200, None)
    with owner.acting():
        member = Member.objects.get(user=admin.user)
        roles.unassign(roles.BuiltIn(Role.ADMIN), of=member)
    assert answer_to(secret, "/v1/organization/users") == (403, "permission_denied")


def test_a_list_is_in_either_order_and_in_pages(owner: Person) -> None:
    for name in ("a", "b", "c"):
        call(owner, "post", ADMIN_KEYS, {"name": name})
    rising = call(owner, "get", f"{ADMIN_KEYS}?limit=2").json()
    assert [key["name"] for key in rising["data"]] == ["a", "b"]
    assert rising["has_more"]
    rest = call(owner, "get", f"{ADMIN_KEYS}?after={rising['last_id']}").json()
    assert [key["name"] for key in rest["data"]] == ["c"]
    falling = call(owner, "get", f"{ADMIN_KEYS}?order=desc").json()
    assert [key["name"] for key in falling["data"]] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "expires_in_seconds": 0}, "expires_in_seconds"),
        ({"name": "x", "expires_in_seconds": 31_536_001}, "expires_in_seconds"),
        ({"name": "x", "permissions": []}, "permissions"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(owner: Person, body: dict[str, object], param: str) -> None:
    answer = call(owner, "post", ADMIN_KEYS, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("role", [role for role in Role if Permission.ADMIN_KEY_WRITE not in MATRIX[role]])
def test_roles_without_the_permission_make_none(owner: Person, role: Role) -> None:
    member = new_person(role, joining=owner)
    assert refused(call(member, "post", ADMIN_KEYS, {"name": "x"}), 403, "permission_denied")


def test_a_strangers_key_does_not_exist(owner: Person, stranger: Person) -> None:
    made = call(owner, "post", ADMIN_KEYS, {"name": "Ops"}).json()
    one = f"{ADMIN_KEYS}/{made['id']}"
    assert call(owner, "get", one).status_code == 200
    assert call(stranger, "get", one).status_code == 404
    assert call(stranger, "delete", one).status_code == 404
    assert made["id"] not in call(stranger, "get", ADMIN_KEYS).content.decode()
    assert answer_to(made["value"], "/v1/organization/projects") == (200, None)


def test_a_projects_key_is_no_administration_key(owner: Person) -> None:
    with owner.acting():
        project_key = ApiKey.objects.get(name="A key")
    assert call(owner, "get", f"{ADMIN_KEYS}/{project_key.public_id}").status_code == 404
