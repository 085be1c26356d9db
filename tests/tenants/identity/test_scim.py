"""Provisioning of people by SCIM, as Entra ID and Okta speak it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from kernel.audit.models import AuditEntry
from kernel.errors import InvalidRequest
from tenants.access.models import Member, User
from tenants.access.permissions import Role
from tenants.access.services.keys import KeyWish, make_admin_key
from tenants.identity.scim.changes import read_changes
from tenants.identity.scim.errors import BadFilter
from tenants.identity.scim.filters import read_filter
from tenants.identity.scim.people import wanted_by
from tenants.limits.models import Plan
from tenants.organizations.models import Organization
from tests.cast import HOST, Person, new_person
from tests.tenants.identity.arriving import domain_of
from tests.tenants.identity.directories import MEDIA_TYPE, ROOT, Directory, fault_of

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def directory(owner: Person) -> Directory:
    return Directory(owner)


def test_a_person_is_brought_in(owner: Person, directory: Directory) -> None:
    name = {"givenName": "Ada", "familyName": "Lovelace"}
    made = directory.person("ada", externalId="x-1", name=name, title="Countess")
    assert made["userName"] == f"ada@{directory.domain}"
    assert (made["active"], made["externalId"], made["title"]) == (True, "x-1", "Countess")
    assert made["name"] == {**name, "formatted": "Ada Lovelace"}
    assert directory.ask("get", f"/Users/{made['id']}").json() == made
    user = User.objects.get(email=made["userName"])
    assert (user.name, user.has_usable_password()) == ("Ada Lovelace", False)
    with owner.acting():
        assert AuditEntry.objects.filter(action="member.add", target=made["id"]).exists()


def test_a_created_resource_says_where_it_is(directory: Directory) -> None:
    answer = directory.ask("post", "/Users", {"userName": f"ada@{directory.domain}"})
    assert answer["Location"] == answer.json()["meta"]["location"]
    assert answer["Content-Type"] == MEDIA_TYPE


def test_a_person_is_brought_in_once(directory: Directory) -> None:
    directory.person("ada", externalId="x-1")
    again = {"userName": f"ADA@{directory.domain}"}
    assert fault_of(directory.ask("post", "/Users", again)) == (409, "uniqueness")
    other = {"userName": f"eve@{directory.domain}", "externalId": "x-1"}
    assert fault_of(directory.ask("post", "/Users", other)) == (409, "uniqueness")


def test_a_person_of_a_domain_that_is_not_verified_is_not_brought_in(
    directory: Directory, stranger: Person
) -> None:
    for address in (stranger.user.email, f"ada@sub.{directory.domain}", f"ada@{domain_of(stranger)}"):
        answer = directory.ask("post", "/Users", {"userName": address})
        assert fault_of(answer) == (400, "invalidValue")
        assert not User.objects.filter(email=address).exclude(pk=stranger.user.pk).exists()


def test_a_person_with_an_account_joins_with_it(directory: Directory, stranger: Person) -> None:
    User.objects.filter(pk=stranger.user.pk).update(email=f"ada@{directory.domain}")
    made = directory.person("ada", displayName="Another name")
    assert made["id"] == stranger.user.public_id


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userName": "no address"},
        {"userName": ["ada"]},
        {"userName": "ada@DOMAIN", "active": "perhaps"},
        {"userName": "ada@DOMAIN", "title": "x" * 201},
        {"userName": "ada@DOMAIN", "externalId": 5},
    ],
)
def test_a_bad_person_is_refused_whole(owner: Person, directory: Directory, body: dict[str, Any]) -> None:
    named = json.loads(json.dumps(body).replace("DOMAIN", directory.domain))
    assert fault_of(directory.ask("post", "/Users", named)) == (400, "invalidValue")
    with owner.acting():
        assert Member.objects.count() == 1


def test_what_is_no_json_object_is_refused(directory: Directory) -> None:
    answer = directory.client.post(f"{ROOT}/Users", "[", content_type=MEDIA_TYPE)
    assert fault_of(answer)[0] == 400
    answer = directory.client.post(f"{ROOT}/Users", "{}", content_type="text/plain")
    assert fault_of(answer)[0] == 415


def test_people_are_found_by_their_attributes(directory: Directory) -> None:
    ada, _ = directory.person("ada", externalId="x-1", displayName="Ada"), directory.person("bob")
    for text in (
        f'userName eq "ADA@{directory.domain}"',
        'externalId eq "x-1"',
        'externalid EQ "x-1" and active eq true',
        'displayName eq "Ada"',
        f'id eq "{ada["id"]}"',
        f'emails[type eq "work"].value eq "ada@{directory.domain}"'.replace('[type eq "work"]', ""),
    ):
        found = directory.ask("get", "/Users", filter=text).json()
        assert [person["id"] for person in found["Resources"]] == [ada["id"]], text
        assert found["totalResults"] == 1
    empty = directory.ask("get", "/Users", filter='externalId eq "x-2"').json()
    assert (empty["totalResults"], empty["Resources"]) == (0, [])


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        'userName co "a"',
        'secret eq "a"',
        'userName eq "a" or userName eq "b"',
        'userName eq "a" and',
        "(",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(directory: Directory, text: str) -> None:
    assert fault_of(directory.ask("get", "/Users", filter=text)) == (400, "invalidFilter")


def test_lists_come_in_pages(owner: Person, directory: Directory) -> None:
    for name in ("ada", "bob", "eve"):
        directory.person(name)
    first = directory.ask("get", "/Users", startIndex=1, count=3).json()
    second = directory.ask("get", "/Users", startIndex=4, count=3).json()
    assert (first["totalResults"], first["itemsPerPage"], second["itemsPerPage"]) == (4, 3, 1)
    names = [person["userName"] for page in (first, second) for person in page["Resources"]]
    assert names == [owner.user.email, *(f"{name}@{directory.domain}" for name in ("ada", "bob", "eve"))]
    none = directory.ask("get", "/Users", count=0).json()
    assert (none["totalResults"], none["Resources"]) == (4, [])
    assert directory.ask("get", "/Users", startIndex=-5, count=-1).json()["startIndex"] == 1
    assert fault_of(directory.ask("get", "/Users", count="many")) == (400, "invalidValue")


ENTRA_DEACTIVATES = {"op": "Replace", "path": "active", "value": "False"}
OKTA_DEACTIVATES = {"op": "replace", "value": {"active": False}}
PLAIN_DEACTIVATES = {
    "op": "replace",
    "path": "urn:ietf:params:scim:schemas:core:2.0:User:active",
    "value": False,
}


@pytest.mark.parametrize("dialect", [ENTRA_DEACTIVATES, OKTA_DEACTIVATES, PLAIN_DEACTIVATES])
def test_a_deactivated_persons_sessions_and_keys_are_dead_at_once(
    owner: Person, directory: Directory, dialect: dict[str, Any]
) -> None:
    mate = new_person(Role.ADMIN, joining=owner)
    browser = mate.browser
    assert browser.get("/api/v1/session").status_code == 200
    assert mate.program.get("/v1/files").status_code == 200
    answer = directory.change(f"/Users/{mate.user.public_id}", dialect)
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert browser.get("/api/v1/session").status_code == 401
    assert mate.program.get("/v1/files").status_code == 401
    with owner.acting():
        assert AuditEntry.objects.filter(action="member.deactivate", target=mate.user.public_id).exists()


def test_a_reactivated_person_has_their_roles_again(owner: Person, directory: Directory) -> None:
    mate = new_person(Role.DEPLOYER, joining=owner)
    address = f"/Users/{mate.user.public_id}"
    directory.change(address, OKTA_DEACTIVATES)
    assert directory.change(address, {"op": "replace", "value": {"active": True}}).json()["active"]
    assert mate.browser.get("/api/v1/session").json()["role"] == "deployer"


def test_the_last_owner_is_never_shut_out(owner: Person, directory: Directory) -> None:
    address = f"/Users/{owner.user.public_id}"
    assert fault_of(directory.change(address, ENTRA_DEACTIVATES)) == (409, None)
    assert fault_of(directory.ask("delete", address)) == (409, None)
    assert owner.browser.get("/api/v1/session").status_code == 200
    assert directory.ask("get", address).json()["active"]


def test_seats_bound_whom_a_directory_brings_in(owner: Person, directory: Directory) -> None:
    Plan.objects.get_or_create(pk="two seats", defaults={"name": "Two seats", "seats": 2})
    with owner.acting():
        Organization.objects.update(plan="two seats")
    directory.person("ada")
    answer = directory.ask("post", "/Users", {"userName": f"bob@{directory.domain}"})
    assert fault_of(answer)[0] == 403
    assert not User.objects.filter(email=f"bob@{directory.domain}").exists()


def test_a_person_is_replaced(directory: Directory) -> None:
    made = directory.person("ada", title="Countess", displayName="Ada", externalId="x-1")
    body = {"userName": f"ada.king@{directory.domain}", "name": {"givenName": "Ada"}}
    answer = directory.ask("put", f"/Users/{made['id']}", body)
    assert answer.status_code == 200, answer.content
    replaced = answer.json()
    assert (replaced["userName"], replaced["id"]) == (body["userName"], made["id"])
    assert replaced["name"]["givenName"] == "Ada"
    assert "title" not in replaced
    assert "externalId" not in replaced
    assert replaced["active"]


def test_a_person_is_changed_as_entra_changes_them(directory: Directory) -> None:
    made = directory.person("ada", title="Countess")
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    answer = directory.change(
        f"/Users/{made['id']}",
        {"op": "Add", "path": "name.givenName", "value": "Augusta"},
        {"op": "Add", "path": f"{enterprise}:department", "value": "Engines"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "other@else.example"},
        {"op": "Remove", "path": "title"},
        {"op": "Replace", "value": {"displayName": "Ada", "name.familyName": "King", enterprise: {"x": "y"}}},
    )
    assert answer.status_code == 200, answer.content
    changed = answer.json()
    assert changed["name"] == {"givenName": "Augusta", "familyName": "King", "formatted": "Augusta King"}
    assert changed["displayName"] == "Ada"
    assert "title" not in changed
    assert changed["userName"] == made["userName"]


def test_an_address_moves_only_between_verified_domains(
    owner: Person, stranger: Person, directory: Directory
) -> None:
    made = directory.person("ada")
    address = f"/Users/{made['id']}"

    def rename(to: str) -> Any:
        return directory.change(address, {"op": "replace", "path": "userName", "value": to})

    assert rename(f"ada.king@{directory.domain}").json()["userName"] == f"ada.king@{directory.domain}"
    assert fault_of(rename("ada@unverified.example")) == (400, "invalidValue")
    directory.person("bob")
    assert fault_of(rename(f"bob@{directory.domain}")) == (409, "uniqueness")
    guest = new_person(Role.VIEWER, joining=owner)
    taken = {"op": "replace", "path": "userName", "value": f"guest@{directory.domain}"}
    assert fault_of(directory.change(f"/Users/{guest.user.public_id}", taken)) == (400, "invalidValue")


def test_a_guests_own_name_is_not_the_directorys_to_change(owner: Person, directory: Directory) -> None:
    guest = new_person(Role.VIEWER, joining=owner)
    change = {"op": "replace", "value": {"displayName": "Somebody"}}
    assert directory.change(f"/Users/{guest.user.public_id}", change).json()["displayName"] == "Somebody"
    guest.user.refresh_from_db()
    assert guest.user.name == "A person"


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "replace", "path": "a b"}, "invalidPath"),
        ({"op": "move", "path": "active", "value": True}, "invalidSyntax"),
        ({"op": "replace", "value": "x"}, "invalidSyntax"),
        ({"op": "remove", "path": "active"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": 1}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": {}}, "invalidValue"),
    ],
)
def test_a_change_that_is_not_understood_changes_nothing(
    directory: Directory, operation: dict[str, Any], kind: str
) -> None:
    made = directory.person("ada")
    first = {"op": "replace", "path": "title", "value": "Countess"}
    answer = directory.change(f"/Users/{made['id']}", first, operation)
    assert fault_of(answer) == (400, kind)
    assert directory.ask("get", f"/Users/{made['id']}").json() == made


def test_a_removed_person_is_gone_and_can_be_brought_in_again(owner: Person, directory: Directory) -> None:
    made = directory.person("ada")
    assert directory.ask("delete", f"/Users/{made['id']}").status_code == 204
    assert fault_of(directory.ask("get", f"/Users/{made['id']}")) == (404, None)
    assert fault_of(directory.ask("delete", f"/Users/{made['id']}")) == (404, None)
    assert directory.person("ada")["id"] == made["id"]


def test_another_organizations_directory_finds_nothing(
    owner: Person, directory: Directory, stranger: Person
) -> None:
    person, group = directory.person("ada"), directory.group("Engineers")
    theirs = Directory(stranger)
    for address in (f"/Users/{person['id']}", f"/Groups/{group['id']}"):
        assert directory.ask("get", address).status_code == 200
        assert fault_of(theirs.ask("get", address)) == (404, None)
        assert fault_of(theirs.change(address, OKTA_DEACTIVATES)) == (404, None)
        assert fault_of(theirs.ask("put", address, {"displayName": "x"})) == (404, None)
        assert fault_of(theirs.ask("delete", address)) == (404, None)
    assert theirs.ask("get", "/Users").json()["totalResults"] == 1


def test_only_a_key_with_the_permission_provisions(owner: Person, directory: Directory) -> None:
    project_key = Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {owner.secret}"})
    assert fault_of(project_key.get(f"{ROOT}/Users"))[0] == 403
    assert fault_of(Client(SERVER_NAME=HOST).get(f"{ROOT}/Users"))[0] == 401
    with owner.acting():
        wish = KeyWish(name="Reader", permissions=["member.read"])
        reader = make_admin_key(wish, by=owner.principal).secret
    client = Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {reader}"})
    assert client.get(f"{ROOT}/Users").status_code in {200, 201}


def test_scim_says_what_it_supports(directory: Directory) -> None:
    config = directory.ask("get", "/ServiceProviderConfig").json()
    assert (config["patch"]["supported"], config["bulk"]["supported"]) == (True, False)
    types = directory.ask("get", "/ResourceTypes").json()["Resources"]
    assert [each["endpoint"] for each in types] == ["/Users", "/Groups"]
    for each in types:
        assert directory.ask("get", f"/ResourceTypes/{each['id']}").json() == each
        assert directory.ask("get", f"/Schemas/{each['schema']}").json()["name"] == each["id"]
    assert len(directory.ask("get", "/Schemas").json()["Resources"]) == 2
    assert fault_of(directory.ask("get", "/Schemas/unknown")) == (404, None)
    assert directory.ask("get", "/Unknown").status_code == 404


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
NAMES = st.sampled_from(["active", "members", "name", "name.givenName", "userName"]) | st.text(max_size=20)
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(NAMES, PLAIN, max_size=3)
OPERATIONS = st.dictionaries(
    st.sampled_from(["op", "path", "value"]), st.sampled_from(["add", "Remove"]) | NAMES | VALUES, max_size=3
)


@given(st.text(max_size=60))
def test_any_filter_is_read_or_refused(text: str) -> None:
    with suppress(BadFilter):
        assert all(isinstance(value, str) for value in read_filter(text).values())


@given(st.lists(OPERATIONS | PLAIN, max_size=3) | PLAIN)
def test_any_change_is_read_or_refused(operations: Any) -> None:
    with suppress(InvalidRequest):
        wanted_by(read_changes({"Operations": operations}))
