"""The same request twice creates one thing."""

import json
import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import openai
import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from config.celery import app
from kernel.api import idempotency
from kernel.api.models import KeptAnswer
from kernel.crypto.errors import CiphertextAltered
from kernel.errors import DomainError
from tenants.access.models import ApiKey
from tenants.access.services import keys
from tenants.datasets.models import File
from tests.cast import Person

ADDRESS = "/api/v1/api-keys"
ROWS = b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}\n' * 12


def make_key(client: Client, name: str, key: str | None = "first", **headers: str) -> Any:
    if key is not None:
        headers["Idempotency-Key"] = key
    return client.post(ADDRESS, {"name": name}, "application/json", headers=headers)


def keys_named(person: Person, name: str) -> int:
    with person.acting():
        return int(ApiKey.objects.filter(name=name).count())


def test_the_same_request_gets_the_very_same_answer_and_creates_one_thing(owner: Person) -> None:
    first, second = (make_key(owner.browser, "once") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["Content-Type"] == second.headers["Content-Type"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert keys_named(owner, "once") == 1


def test_without_a_key_the_same_request_creates_two_things(owner: Person) -> None:
    for _ in range(2):
        assert make_key(owner.browser, "twice", None).status_code == 201
    assert keys_named(owner, "twice") == 2


def test_the_same_key_with_another_body_is_a_conflict(owner: Person) -> None:
    make_key(owner.browser, "one")
    refused = make_key(owner.browser, "another")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "idempotency_key_reused"
    assert keys_named(owner, "another") == 0


def test_the_same_key_at_another_address_is_a_conflict(owner: Person) -> None:
    make_key(owner.browser, "one")
    refused = owner.browser.post(
        "/api/v1/conversations", {"name": "one"}, "application/json", headers={"Idempotency-Key": "first"}
    )
    assert refused.json()["error"]["code"] == "idempotency_key_reused"


def test_a_key_belongs_to_its_caller(owner: Person, teammate: Person, stranger: Person) -> None:
    bodies = {make_key(person.browser, "mine").content for person in (owner, stranger)}
    assert len(bodies) == 2
    assert make_key(teammate.browser, "mine").status_code == 403


@pytest.mark.parametrize("key", ["", "x" * 256, "snow\u2603".encode().decode("latin-1"), "tab\tstop"])
def test_a_key_that_is_not_printable_or_too_long_is_refused(owner: Person, key: str) -> None:
    refused = make_key(owner.browser, "never", key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert keys_named(owner, "never") == 0
    assert make_key(owner.browser, "longest", "x" * 255).status_code == 201


def test_a_refusal_is_not_kept(owner: Person) -> None:
    assert (
        owner.browser.post(ADDRESS, {}, "application/json", headers={"Idempotency-Key": "first"}).status_code
        == 400
    )
    assert make_key(owner.browser, "after all").status_code == 201


def test_a_crash_keeps_neither_the_thing_nor_the_answer(owner: Person) -> None:
    browser = owner.browser
    with patch.object(idempotency, "_keep", side_effect=RuntimeError):
        assert make_key(browser, "crashed").status_code == 500
    assert keys_named(owner, "crashed") == 0
    assert make_key(browser, "crashed").status_code == 201


def test_a_secret_in_a_kept_answer_is_sealed_and_bound_to_its_row(owner: Person) -> None:
    secret = make_key(owner.browser, "sealed").json()["secret"]
    with owner.acting():
        kept = KeptAnswer.objects.get(key="first")
        assert secret.encode() not in bytes(kept.sealed_body)
        assert json.loads(kept.body)["secret"] == secret
        moved = KeptAnswer(organization_id=kept.organization_id, sealed_body=kept.sealed_body)
        with pytest.raises(CiphertextAltered):
            _ = moved.body


def test_an_answer_is_forgotten_after_a_day(owner: Person, stranger: Person) -> None:
    for person in (owner, stranger):
        make_key(person.browser, "forgotten")
    with owner.acting():
        age = Now() - idempotency.KEPT_FOR - timedelta(seconds=1)
        KeptAnswer.objects.update(created_at=age)
    assert "Idempotent-Replayed" not in make_key(owner.browser, "forgotten").headers
    assert keys_named(owner, "forgotten") == 2
    with owner.acting():
        KeptAnswer.objects.update(created_at=age)
    app.loader.import_default_modules()
    app.tasks["kernel.api.tasks.prune_kept_answers"]()
    for person, left in ((owner, 0), (stranger, 1)):
        with person.acting():
            assert KeptAnswer.objects.count() == left


def test_twenty_at_once_create_one_thing(owner: Person) -> None:
    answers = at_once(20, lambda: make_key(owner.browser, "parallel"))
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert statuses[0] == 201
    assert keys_named(owner, "parallel") == 1
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["error"]["code"] == "request_in_progress"
            assert answer.headers["Retry-After"] == "1"


def test_a_request_that_still_runs_is_said_to_be_running(owner: Person) -> None:
    entered, leave = threading.Event(), threading.Event()
    make = keys.make_project_key

    def slowly(*args: Any, **kwargs: Any) -> Any:
        entered.set()
        assert leave.wait(10)
        return make(*args, **kwargs)

    with patch.object(keys, "make_project_key", slowly):
        first: list[Any] = []
        browser, other = owner.browser, owner.browser
        thread = threading.Thread(target=lambda: first.append(in_a_thread(lambda: make_key(browser, "slow"))))
        thread.start()
        assert entered.wait(10)
        refused = make_key(other, "slow")
        leave.set()
        thread.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "request_in_progress")
    assert first[0].status_code == 201
    assert make_key(owner.browser, "slow").content == first[0].content


def upload(person: Person, content: bytes) -> str:
    """With the official client, whose forms have another boundary each time."""
    headers = {"Idempotency-Key": "upload"}
    sent = person.openai.files.create(
        file=("rows.jsonl", content), purpose="fine-tune", extra_headers=headers
    )
    return sent.id


def test_the_same_upload_with_another_boundary_brings_one_file(owner: Person) -> None:
    first, second = upload(owner, ROWS), upload(owner, ROWS)
    assert first == second
    with owner.acting():
        assert File.objects.count() == 1
    assert owner.openai.files.content(first).read() == ROWS


def test_an_upload_with_another_byte_is_another_one(owner: Person) -> None:
    upload(owner, ROWS)
    with pytest.raises(openai.ConflictError, match="idempotency"):
        upload(owner, ROWS[:-1])
    with owner.acting():
        assert File.objects.count() == 1


def test_a_fault_of_ours_is_not_kept(owner: Person) -> None:
    with patch.object(keys, "make_project_key", side_effect=DomainError):
        assert make_key(owner.browser, "later").status_code == 500
    assert make_key(owner.browser, "later").status_code == 201


def in_a_thread(act: Any) -> Any:
    try:
        return act()
    finally:
        connection.close()


def at_once(count: int, act: Any) -> list[Any]:
    barrier, found = threading.Barrier(count), []

    def run() -> None:
        barrier.wait()
        found.append(in_a_thread(act))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
