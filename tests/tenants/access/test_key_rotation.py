"""A key's new secret, and how long the old one goes on."""

import time

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.permissions import Permission, Role
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import JSON, answer_to, made
from tests.tenants.access.test_key_scopes import keeper_of_keys

DAYS_7_SECONDS = 7 * 24 * 3600


def rotated(person: Person, key: str, **body: object) -> dict[str, object]:
    answer = person.browser.post(f"/api/v1/api-keys/{key}/rotate", body, content_type=JSON)
    assert answer.status_code == 200, answer.content
    shown: dict[str, object] = answer.json()
    return shown


def test_the_old_secret_works_until_the_overlap_ends(owner: Person) -> None:
    key = made(owner)
    new = rotated(owner, key["id"], overlap_seconds=1)
    assert new["id"] == key["id"]
    assert new["previous_secret_until"] is not None
    assert answer_to(key["secret"]) == answer_to(str(new["secret"])) == (200, None)
    time.sleep(1.1)
    assert answer_to(key["secret"]) == (401, "invalid_api_key")
    assert answer_to(str(new["secret"])) == (200, None)
    shown = owner.browser.get(f"/api/v1/api-keys/{key['id']}").json()
    assert shown["previous_secret_until"] is None
    assert "secret" not in shown


def test_without_an_overlap_the_old_secret_ends_at_once(owner: Person) -> None:
    key = made(owner)
    new = rotated(owner, key["id"])
    assert answer_to(key["secret"]) == (401, "invalid_api_key")
    assert answer_to(str(new["secret"])) == (200, None)
    with owner.acting():
        entry = AuditEntry.objects.get(action="key.rotate")
    assert entry.details["overlap_seconds"] == 0
    assert str(new["secret"]) not in str(entry.details)


def test_a_second_rotation_keeps_only_the_secret_before_it(owner: Person) -> None:
    first = made(owner)
    second = rotated(owner, first["id"], overlap_seconds=60)
    third = rotated(owner, first["id"], overlap_seconds=60)
    assert answer_to(first["secret"]) == (401, "invalid_api_key")
    assert answer_to(str(second["secret"])) == answer_to(str(third["secret"])) == (200, None)


def test_a_revocation_ends_both_secrets(owner: Person) -> None:
    first = made(owner)
    second = rotated(owner, first["id"], overlap_seconds=60)
    assert owner.browser.delete(f"/api/v1/api-keys/{first['id']}").status_code == 204
    assert answer_to(first["secret"]) == answer_to(str(second["secret"])) == (401, "invalid_api_key")


@pytest.mark.parametrize("seconds", [-1, DAYS_7_SECONDS + 1, "60", True, 1.5])
def test_an_overlap_out_of_range_is_refused(owner: Person, seconds: object) -> None:
    key = made(owner)
    answer = owner.browser.post(
        f"/api/v1/api-keys/{key['id']}/rotate", {"overlap_seconds": seconds}, content_type=JSON
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "overlap_seconds")
    assert answer_to(key["secret"]) == (200, None)


def test_nobody_gets_the_secret_of_a_key_that_may_do_more_than_they(owner: Person) -> None:
    keeper = keeper_of_keys(owner, Permission.FILE_READ)
    key = made(owner)
    answer = keeper.browser.post(f"/api/v1/api-keys/{key['id']}/rotate", {}, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "escalation")
    assert answer_to(key["secret"]) == (200, None)
    lesser = made(owner, name="Lesser", permissions=["file.read"])
    assert answer_to(str(rotated(keeper, lesser["id"])["secret"])) == (200, None)


def test_an_administrator_rotates_the_key_of_a_member(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    [theirs] = [
        one
        for one in owner.browser.get("/api/v1/api-keys").json()["data"]
        if one["created_by"] == worker.user.public_id
    ]
    new = rotated(owner, theirs["id"])
    assert answer_to(worker.secret)[0] == 401
    assert answer_to(str(new["secret"])) == (200, None)
