"""API keys: made, shown once, used, revoked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.access import secrets
from tenants.access.models import ApiKey
from tests.cast import Person

JSON = "application/json"


def test_a_key_is_shown_once_and_stored_as_a_hash(owner: Person) -> None:
    made = owner.browser.post("/api/v1/api-keys", {"name": "CI"}, content_type=JSON)
    assert made.status_code == 201
    secret = made.json()["secret"]
    listed = owner.browser.get("/api/v1/api-keys").json()["data"]
    assert [key["name"] for key in listed] == ["CI", "A key"]
    assert secret not in str(listed)
    with owner.acting():
        key = ApiKey.objects.get(name="CI")
        assert secret not in str(key.__dict__)


def test_a_revoked_key_is_refused(owner: Person) -> None:
    [key] = owner.browser.get("/api/v1/api-keys").json()["data"]
    assert owner.program.get("/v1/files").status_code == 200
    assert owner.browser.get(f"/api/v1/api-keys/{key['id']}").json() == key
    assert owner.browser.delete(f"/api/v1/api-keys/{key['id']}").status_code == 204
    assert owner.browser.get(f"/api/v1/api-keys/{key['id']}").status_code == 404
    answer = owner.program.get("/v1/files")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_key_cannot_make_keys(owner: Person) -> None:
    answer = owner.program.post("/api/v1/api-keys", {"name": "child"}, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


def test_a_member_cannot_make_keys_and_an_owner_can(owner: Person, teammate: Person) -> None:
    assert owner.browser.post("/api/v1/api-keys", {"name": "a"}, content_type=JSON).status_code == 201
    assert teammate.browser.post("/api/v1/api-keys", {"name": "b"}, content_type=JSON).status_code == 403


def test_a_strangers_key_does_not_exist(owner: Person, stranger: Person) -> None:
    [key] = owner.browser.get("/api/v1/api-keys").json()["data"]
    one = f"/api/v1/api-keys/{key['id']}"
    assert owner.browser.get(one).status_code == 200
    assert stranger.browser.get(one).status_code == 404
    assert stranger.browser.delete(one).status_code == 404
    assert stranger.browser.post(f"{one}/rotate", {}, content_type=JSON).status_code == 404
    assert key["id"] not in stranger.browser.get("/api/v1/api-keys").content.decode()
    assert owner.program.get("/v1/files").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Bearer sk-123", "Bearer lw_short", "Basic abc", "Bearer", f"Bearer {secrets.new_secret()}"],
    ids=["foreign", "short", "basic", "empty", "unknown"],
)
def test_a_wrong_key_is_refused_as_openai_does(owner: Person, header: str) -> None:
    answer = owner.program.get("/v1/files", headers={"Authorization": header})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (
        401,
        "invalid_request_error",
        "invalid_api_key",
    )


def test_a_key_of_another_project_than_the_header_names_is_refused(owner: Person, stranger: Person) -> None:
    answer = owner.program.get("/v1/files", headers={"OpenAI-Project": stranger.project.public_id})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "mismatched_project")


@pytest.mark.parametrize("name", ["", " ", "x" * 101])
def test_a_key_needs_a_sensible_name(owner: Person, name: str) -> None:
    answer = owner.browser.post("/api/v1/api-keys", {"name": name}, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


@given(st.integers(3, 40), st.sampled_from(secrets.ALPHABET))
def test_a_mistyped_secret_is_noticed_by_its_checksum(place: int, other: str) -> None:
    secret = secrets.new_secret()
    assert secrets.is_well_formed(secret)
    mistyped = secret[:place] + other + secret[place + 1 :]
    assert secrets.is_well_formed(mistyped) == (mistyped == secret)


def test_a_key_with_the_cookie_of_another_organization_is_refused(owner: Person, stranger: Person) -> None:
    mixed = {"Authorization": f"Bearer {owner.secret}"}
    answer = stranger.browser.get("/v1/files", headers=mixed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "conflicting_credentials")
    assert owner.browser.get("/v1/files", headers=mixed).status_code == 200
