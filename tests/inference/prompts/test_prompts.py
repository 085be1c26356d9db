"""Prompt templates: named, versioned, kept sealed, and pinned by deployments."""

from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import connection

from inference.deployments.services import PROJECT_BASE_MODEL
from inference.deployments.valkey import valkey
from inference.gateway.entries import ProjectEntry, read_entry
from inference.gateway.policy.document import Policy
from inference.gateway.policy.sealed import policy_key
from kernel.audit.models import AuditEntry
from tenants.access.permissions import Role
from tests.cast import Person, new_person
from tests.inference.deployments.fake_pod import FakePod
from tests.inference.deployments.house import deliver, deployment_of

PROMPTS = "/api/v1/prompts"
MESSAGES = [
    {"role": "developer", "content": "You help Acme."},
    {"role": "user", "content": "Translate to {{ language }}: {{ text }}"},
]
BRIEFER = [{"role": "user", "content": "{{ text }}, briefly"}]


def post(person: Person, address: str, **body: Any) -> Any:
    return person.browser.post(address, orjson.dumps(body).decode(), content_type="application/json")


def make(person: Person, name: str = "translate") -> str:
    answer = post(person, PROMPTS, name=name, messages=MESSAGES)
    assert answer.status_code == 200, answer.content
    made: str = answer.json()["id"]
    return made


def pin(person: Person, prompt: object) -> Any:
    address = f"/api/v1/deployments/{deployment_of(person, PROJECT_BASE_MODEL).public_id}/policy"
    body = orjson.dumps({} if prompt is None else {"prompt": prompt}).decode()
    return person.browser.put(address, body, content_type="application/json")


def policy_at_the_gateways(person: Person) -> Policy:
    name = f"lw:snapshot:project:{person.project.pk}"
    entry = read_entry(name, valkey().get(name), policy_key(settings.API_KEY_PEPPER))  # type: ignore[arg-type]
    assert isinstance(entry, ProjectEntry)
    return entry.deployments[PROJECT_BASE_MODEL].policy


def test_a_prompt_is_made_with_its_first_version(owner: Person) -> None:
    prompt_id = make(owner)
    assert prompt_id.startswith("pmpt_")
    shown = owner.browser.get(f"{PROMPTS}/{prompt_id}").json()
    assert (shown["object"], shown["name"], shown["version"]) == ("prompt", "translate", 1)
    version = owner.browser.get(f"{PROMPTS}/{prompt_id}/versions/1").json()
    assert version["messages"] == MESSAGES
    assert version["variables"] == ["language", "text"]


def test_a_further_version_leaves_the_first_as_it_was(owner: Person) -> None:
    prompt_id = make(owner)
    answer = post(owner, f"{PROMPTS}/{prompt_id}/versions", messages=BRIEFER)
    assert (answer.json()["version"], answer.json()["variables"]) == (2, ["text"])
    assert owner.browser.get(f"{PROMPTS}/{prompt_id}/versions/1").json()["messages"] == MESSAGES
    (listed,) = owner.browser.get(PROMPTS).json()["data"]
    assert (listed["id"], listed["version"]) == (prompt_id, 2)
    for number in ("3", "0", "-1", "x", "9" * 30):
        answer = owner.browser.get(f"{PROMPTS}/{prompt_id}/versions/{number}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "prompt_not_found")


def test_a_name_is_taken_once_in_a_project(owner: Person, stranger: Person) -> None:
    make(owner)
    answer = post(owner, PROMPTS, name="translate", messages=BRIEFER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "prompt_name_taken")
    make(stranger)


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("Hi", "messages"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "tool", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": "x", "name": "y"}], "messages[0].name"),
        ([*BRIEFER, {"role": "user", "content": "{{ text | upper }}"}], "messages[1].content"),
        ([{"role": "user", "content": "{% for a in b %}"}], "messages[0].content"),
        ([{"role": "user", "content": "x" * 64_001}], "messages"),
    ],
)
def test_what_is_no_template_is_refused_by_its_place(owner: Person, messages: object, param: str) -> None:
    answer = post(owner, PROMPTS, name="wrong", messages=messages)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert owner.browser.get(PROMPTS).json()["data"] == []


def test_others_do_not_find_it(owner: Person, stranger: Person) -> None:
    prompt_id = make(owner)
    reader = new_person(Role.VIEWER, joining=owner)
    for person, status in ((stranger, 404), (reader, 403)):
        assert person.browser.get(f"{PROMPTS}/{prompt_id}").status_code == status
        assert person.browser.get(f"{PROMPTS}/{prompt_id}/versions/1").status_code == status
        assert person.browser.delete(f"{PROMPTS}/{prompt_id}").status_code == status
    assert stranger.browser.get(PROMPTS).json()["data"] == []


def test_its_texts_stand_in_clear_neither_in_the_database_nor_in_the_audit_log(owner: Person) -> None:
    make(owner)
    with owner.acting(), connection.cursor() as cursor:
        cursor.execute("SELECT sealed_messages FROM prompts_promptversion")
        assert all(b"Acme" not in bytes(row[0]) for row in cursor.fetchall())
        entry = AuditEntry.objects.get(action="prompt.create")
    assert entry.details == {"name": "translate"}


def test_a_deployment_pins_a_version_and_the_gateways_fill_it(owner: Person, pod: FakePod) -> None:
    deliver(owner)
    prompt_id = make(owner)
    post(owner, f"{PROMPTS}/{prompt_id}/versions", messages=BRIEFER)
    answer = pin(owner, {"id": prompt_id, "version": 1})
    assert answer.status_code == 200, answer.content
    assert answer.json()["policy"] == {"prompt": {"id": prompt_id, "version": 1}}
    deliver(owner)
    policy = policy_at_the_gateways(owner)
    assert policy.prompt is not None
    assert (policy.prompt.prompt_id, policy.prompt.version) == (prompt_id, 1)
    assert policy.prompt.variables == {"language", "text"}
    assert policy.digest == answer.json()["digest"]
    pin(owner, {"id": prompt_id, "version": 2})
    deliver(owner)
    policy = policy_at_the_gateways(owner)
    assert policy.prompt is not None
    assert policy.prompt.variables == {"text"}


def test_what_is_pinned_cannot_be_removed(owner: Person, pod: FakePod) -> None:
    deliver(owner)
    prompt_id = make(owner)
    pin(owner, {"id": prompt_id, "version": 1})
    answer = owner.browser.delete(f"{PROMPTS}/{prompt_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "prompt_in_use")
    pin(owner, None)
    assert owner.browser.delete(f"{PROMPTS}/{prompt_id}").status_code == 204
    assert owner.browser.get(f"{PROMPTS}/{prompt_id}").status_code == 404


def test_only_a_version_of_the_own_project_can_be_pinned(
    owner: Person, stranger: Person, pod: FakePod
) -> None:
    deliver(owner)
    prompt_id, foreign = make(owner), make(stranger)
    for prompt, status, param in (
        ({"id": foreign, "version": 1}, 404, "prompt.id"),
        ({"id": prompt_id, "version": 2}, 404, "prompt.version"),
        ({"id": prompt_id, "version": "1"}, 400, "prompt.version"),
        ({"id": prompt_id}, 400, "prompt.version"),
        ({"id": prompt_id, "version": 1, "messages": MESSAGES}, 400, "prompt.messages"),
    ):
        answer = pin(owner, prompt)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
