"""A deployment's policy: set over REST, kept sealed, and published for the gateways."""

import base64
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.conf import settings
from django.db import connection

from inference.deployments import snapshot
from inference.deployments.services import PROJECT_BASE_MODEL
from inference.deployments.valkey import valkey
from inference.gateway.entries import NO_POLICY, Deployment, ProjectEntry, read_entry
from inference.gateway.policy.sealed import policy_key
from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.crypto.errors import KeyUnavailable
from tenants.access.permissions import Role
from tests.cast import Person, new_person
from tests.inference.deployments.fake_pod import FakePod
from tests.inference.deployments.house import deliver, deployment_of, published

POLICY: dict[str, Any] = {
    "system_prompt": "You are Ada of Acme.",
    "max_answer_tokens": 200,
    "parameters": {"temperature": {"maximum": 0.5}, "seed": {"allowed": False}},
    "pii": {"prompt": "redact", "answer": "redact", "kinds": ["email", "iban"]},
    "denied_words": {"words": ["project x"], "answer": "block"},
    "prompt_attacks": "flag",
}


@pytest.fixture(autouse=True)
def base(owner: Person, pod: FakePod) -> None:
    deliver(owner)


def address_of(person: Person) -> str:
    return f"/api/v1/deployments/{deployment_of(person, PROJECT_BASE_MODEL).public_id}/policy"


def put(person: Person, document: object, *, address: str = "") -> Any:
    body = orjson.dumps(document).decode()
    return person.browser.put(address or address_of(person), body, content_type="application/json")


def read_by_a_gateway(person: Person, *, pepper: bytes = b"") -> Deployment:
    name = f"lw:snapshot:project:{person.project.pk}"
    value = valkey().get(name)
    assert isinstance(value, bytes)
    entry = read_entry(name, value, policy_key(pepper or settings.API_KEY_PEPPER))
    assert isinstance(entry, ProjectEntry)
    return entry.deployments[PROJECT_BASE_MODEL]


def test_what_is_set_is_shown_and_reaches_the_gateways(owner: Person) -> None:
    nothing = owner.browser.get(address_of(owner)).json()
    assert (nothing["policy"], nothing["digest"], nothing["updated_at"]) == ({}, None, None)
    answer = put(owner, POLICY)
    assert answer.status_code == 200, answer.content
    shown = owner.browser.get(address_of(owner)).json()
    assert shown == answer.json()
    assert shown["policy"] == POLICY
    deliver(owner)
    policy = read_by_a_gateway(owner).policy
    assert (policy.system_prompt, policy.max_answer_tokens) == ("You are Ada of Acme.", 200)
    assert policy.digest == shown["digest"]
    assert read_by_a_gateway(owner).default_max_tokens == 200


def test_an_empty_policy_takes_it_back(owner: Person) -> None:
    put(owner, POLICY)
    assert put(owner, {}).json()["digest"] is None
    deliver(owner)
    assert "policy" not in published(owner)[PROJECT_BASE_MODEL]


@pytest.mark.parametrize(
    ("document", "code", "param"),
    [
        ([], "invalid_json", None),
        ({"unheard_of": 1}, "unknown_parameter", "unheard_of"),
        ({"system_prompt": 7}, "invalid_type", "system_prompt"),
        ({"max_answer_tokens": 0}, "invalid_value", "max_answer_tokens"),
        ({"parameters": {"sharpness": {}}}, "unknown_parameter", "parameters.sharpness"),
        (
            {"parameters": {"temperature": {"maximum": 9}}},
            "invalid_value",
            "parameters.temperature.maximum",
        ),
        ({"parameters": {"n": {"maximum": 1.5}}}, "invalid_type", "parameters.n.maximum"),
        (
            {"parameters": {"top_p": {"minimum": 0.9, "maximum": 0.1}}},
            "invalid_value",
            "parameters.top_p.minimum",
        ),
        ({"parameters": {"seed": {"maximum": 3}}}, "unknown_parameter", "parameters.seed.maximum"),
        ({"pii": {"kinds": ["name"]}}, "invalid_value", "pii.kinds[0]"),
        ({"pii": {"answer": "perhaps"}}, "invalid_value", "pii.answer"),
        ({"denied_words": {"words": []}}, "invalid_value", "denied_words.words"),
        ({"denied_words": {"words": ["a", " "]}}, "invalid_value", "denied_words.words[1]"),
        ({"prompt_attacks": "redact"}, "invalid_value", "prompt_attacks"),
        ({"output_schema": {"enum": ["x" * 300_000]}}, "invalid_value", None),
    ],
)
def test_what_is_no_policy_is_refused_by_its_place(
    owner: Person, document: object, code: str, param: str | None
) -> None:
    answer = put(owner, document)
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, param)
    assert owner.browser.get(address_of(owner)).json()["digest"] is None


def test_only_who_may_change_a_deployment_sees_its_policy(owner: Person, stranger: Person) -> None:
    address = address_of(owner)
    reader = new_person(Role.VIEWER, joining=owner)
    for person, status in ((stranger, 404), (reader, 403)):
        assert person.browser.get(address).status_code == status
        assert put(person, POLICY, address=address).status_code == status


def test_the_texts_stand_in_clear_neither_in_the_database_nor_in_valkey_nor_in_the_log(owner: Person) -> None:
    put(owner, POLICY)
    deliver(owner)
    with owner.acting(), connection.cursor() as cursor:
        cursor.execute("SELECT sealed_document FROM deployments_deploymentpolicy")
        (kept,) = [bytes(row[0]) for row in cursor.fetchall()]
        entry = AuditEntry.objects.get(action="deployment.update")
    told = orjson.dumps(published(owner)) + orjson.dumps(entry.details)
    for text in (b"Acme", b"project x"):
        assert text not in kept
        assert text not in told
    assert entry.details["before"] == {"policy": None}
    assert len(entry.details["after"]["policy"]) == 64


def test_setting_the_same_again_changes_nothing(owner: Person) -> None:
    put(owner, POLICY)
    deliver(owner)
    assert put(owner, dict(reversed(POLICY.items()))).status_code == 200
    assert "inference.deployment.changed.v1" not in deliver(owner)


def test_what_is_published_stays_as_it_is_while_nobody_changes_it(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(owner, POLICY)
    deliver(owner)
    before = published(owner)

    def away(*_: object) -> Any:
        raise KeyUnavailable

    monkeypatch.setattr(keys, "finder", away)
    snapshot.publish_project(owner.organization.pk, owner.project.pk)
    assert published(owner) == before


def test_without_its_policy_a_deployment_serves_nothing(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(owner, POLICY)

    def away(*_: object) -> Any:
        raise KeyUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(keys, "finder", away)
        deliver(owner)
        assert read_by_a_gateway(owner).state == NO_POLICY
    snapshot.publish_project(owner.organization.pk, owner.project.pk)
    assert read_by_a_gateway(owner).state == "ready"


def test_a_policy_opens_for_its_own_deployment_and_with_the_pepper_only(owner: Person) -> None:
    put(owner, POLICY)
    deliver(owner)
    assert read_by_a_gateway(owner, pepper=bytes(32)).state == NO_POLICY
    name = f"lw:snapshot:project:{owner.project.pk}"
    document = orjson.loads(valkey().get(name))  # type: ignore[arg-type]
    document["deployments"][0]["deployment_id"] = str(UUID(int=1))
    entry = read_entry(name, orjson.dumps(document), policy_key(settings.API_KEY_PEPPER))
    assert isinstance(entry, ProjectEntry)
    assert entry.deployments[PROJECT_BASE_MODEL].state == NO_POLICY
    assert base64.b64decode(document["deployments"][0]["policy"]["sealed"])
