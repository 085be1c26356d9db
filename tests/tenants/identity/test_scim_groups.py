"""Groups that a directory keeps by SCIM."""

import pytest

from tenants.access.models import Group, User
from tenants.access.services import groups
from tests.cast import Person
from tests.tenants.identity.arriving import JSON
from tests.tenants.identity.directories import Directory, fault_of

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def directory(owner: Person) -> Directory:
    return Directory(owner)


def test_a_group_has_the_members_that_the_directory_names(owner: Person, directory: Directory) -> None:
    ada, bob = directory.person("ada"), directory.person("bob")
    group = directory.group("Engineers", ada, externalId="g-1")
    address = f"/Groups/{group['id']}"
    assert directory.members_of(group) == {ada["id"]}
    directory.change(address, {"op": "Add", "path": "members", "value": [{"value": bob["id"]}]})
    assert directory.members_of(group) == {ada["id"], bob["id"]}
    directory.change(address, {"op": "Remove", "path": "members", "value": [{"value": ada["id"]}]})
    assert directory.members_of(group) == {bob["id"]}
    directory.change(address, {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'})
    assert directory.members_of(group) == set()
    directory.change(address, {"op": "replace", "path": "members", "value": [{"value": ada["id"]}]})
    assert directory.members_of(group) == {ada["id"]}
    directory.change(address, {"op": "remove", "path": "members"})
    assert directory.members_of(group) == set()
    whole = {"displayName": "Engineers", "externalId": "g-1", "members": [{"value": bob["id"]}]}
    assert directory.ask("put", address, whole).status_code == 200
    assert directory.members_of(group) == {bob["id"]}
    assert directory.ask("get", f"/Users/{bob['id']}").json()["groups"][0]["display"] == "Engineers"
    user = User.objects.get(email=bob["userName"])
    with owner.acting():
        assert user.groups.filter(pk=Group.objects.get(name="Engineers").auth_group_id).exists()


def test_a_group_is_renamed_as_okta_renames_it(directory: Directory) -> None:
    group = directory.group("Engineers")
    change = {"op": "replace", "value": {"id": group["id"], "displayName": "Builders"}}
    assert directory.change(f"/Groups/{group['id']}", change).json()["displayName"] == "Builders"


def test_groups_are_found_and_shown_without_their_members(directory: Directory) -> None:
    group = directory.group("Engineers", directory.person("ada"), externalId="g-1")
    for text in ('displayName eq "Engineers"', 'externalId eq "g-1"', f'id eq "{group["id"]}"'):
        found = directory.ask("get", "/Groups", filter=text, excludedAttributes="members").json()
        assert [each["id"] for each in found["Resources"]] == [group["id"]]
        assert "members" not in found["Resources"][0]


def test_a_group_is_made_once(owner: Person, directory: Directory) -> None:
    directory.group("Engineers", externalId="g-1")
    with owner.acting():
        groups.make_group("By hand")
    for body in (
        {"displayName": "Engineers"},
        {"displayName": "By hand"},
        {"displayName": "Others", "externalId": "g-1"},
    ):
        assert fault_of(directory.ask("post", "/Groups", body)) == (409, "uniqueness")


def test_a_group_made_by_hand_is_not_the_directorys(owner: Person, directory: Directory) -> None:
    with owner.acting():
        by_hand = groups.make_group("By hand").public_id
    assert directory.ask("get", "/Groups").json()["totalResults"] == 0
    assert fault_of(directory.ask("get", f"/Groups/{by_hand}")) == (404, None)
    assert fault_of(directory.ask("delete", f"/Groups/{by_hand}")) == (404, None)


def test_the_directorys_group_is_not_changed_by_hand(owner: Person, directory: Directory) -> None:
    group = directory.group("Engineers")
    answer = owner.browser.post(
        f"/v1/organization/groups/{group['id']}", {"name": "Others"}, content_type=JSON
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "group_scim_managed")
    answer = owner.browser.delete(f"/v1/organization/groups/{group['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "group_scim_managed")


def test_a_deleted_group_is_gone(directory: Directory) -> None:
    group = directory.group("Engineers", directory.person("ada"))
    assert directory.ask("delete", f"/Groups/{group['id']}").status_code == 204
    assert fault_of(directory.ask("get", f"/Groups/{group['id']}")) == (404, None)


def test_a_group_takes_members_of_its_own_organization_only(directory: Directory, stranger: Person) -> None:
    group = directory.group("Engineers")
    for value in (stranger.user.public_id, "user-unknown", ""):
        change = {"op": "add", "path": "members", "value": [{"value": value}]}
        assert fault_of(directory.change(f"/Groups/{group['id']}", change)) == (400, "invalidValue")
    odd = {"op": "add", "path": "members", "value": ["x"]}
    assert fault_of(directory.change(f"/Groups/{group['id']}", odd)) == (400, "invalidSyntax")
