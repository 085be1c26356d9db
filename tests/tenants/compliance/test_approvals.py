"""Who lets an erasure go ahead, and what stops it: approvals, legal holds, requests that name nothing."""

from typing import Any

import pytest
from django.test import Client

from kernel.storage import objects
from kernel.storage.errors import StorageUnavailable
from tenants.access.permissions import Role
from tenants.compliance import work
from tests.cast import HOST, WORKING, Person, new_person, prove
from tests.tenants.administration.offices import admin_secret, call, refused
from tests.tenants.compliance.house import (
    ERASURES,
    HOLDS,
    approve,
    ask,
    bring,
    file_of,
    go_on,
    row,
    say,
    seen,
    texts_of,
)

JANE = "jane.doe@customers.example"
ROWS_OF_JANE = row("Where is my order?") * 20 + row(f"I am {JANE}.")


def test_a_legal_hold_stops_a_request_and_an_approval_and_names_itself(owner: Person) -> None:
    leaver = new_person(*WORKING, joining=owner)
    file = bring(owner, ROWS_OF_JANE)
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    held = {"subject": "file", "subject_id": file.public_id, "name": "Case 12", "reason": "A court asked."}
    hold = call(owner, "post", HOLDS, held).json()
    refusal = approve(owner, erasure_id)
    assert refused(refusal, 409, "legal_hold")
    assert "Case 12" in refusal.json()["error"]["message"]
    assert refused(call(owner, "delete", f"/v1/files/{file.public_id}"), 409, "legal_hold")
    person = {**held, "subject": "person", "subject_id": leaver.user.public_id}
    call(owner, "post", HOLDS, person)
    assert refused(call(owner, "post", ERASURES, {"user_id": leaver.user.public_id}), 409, "legal_hold")
    lifted = call(owner, "post", f"{HOLDS}/{hold['id']}/lift", {"reason": "It is over."}).json()
    assert lifted["lifted_because"] == "It is over."
    assert approve(owner, erasure_id).status_code == 202
    assert go_on(owner, erasure_id)["state"] == "completed"


def test_a_hold_set_after_the_approval_sends_the_request_back(owner: Person) -> None:
    file = bring(owner, ROWS_OF_JANE)
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    approve(owner, erasure_id)
    call(owner, "post", HOLDS, {"subject": "organization", "name": "Case 13", "reason": "A court asked."})
    back = go_on(owner, erasure_id)
    assert back["state"] == "planned"
    assert "Case 13" in back["fault"]
    assert file_of(owner, file.pk).deleted_at is None


def test_where_two_are_needed_one_is_not_enough(owner: Person) -> None:
    officer = new_person(Role.ADMIN, joining=owner)
    assert call(owner, "put", "/api/v1/compliance/erasure-policy", {"needs_two": True}).status_code == 200
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    assert refused(approve(owner, erasure_id), 409, "second_person_required")
    assert approve(officer, erasure_id).status_code == 202


def test_only_a_plan_is_approved_and_only_an_open_request_taken_back(owner: Person) -> None:
    erasure_id = ask(owner, words=[JANE])
    assert refused(approve(owner, erasure_id), 409, "erasure_state")
    assert call(owner, "delete", f"{ERASURES}/{erasure_id}").json()["state"] == "cancelled"
    assert refused(call(owner, "delete", f"{ERASURES}/{erasure_id}"), 409, "erasure_state")
    assert go_on(owner, erasure_id)["state"] == "cancelled"
    assert seen(owner, erasure_id)["plan"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "nothing_named"),
        ({"words": []}, "nothing_named"),
        ({"words": ["ab"]}, "invalid_request"),
        ({"rows": [{"file_id": f"file-{'0' * 32}", "numbers": [1]}]}, "file_not_found"),
        ({"everything": True}, "unknown_parameter"),
    ],
)
def test_a_request_that_names_nothing_usable_is_refused(owner: Person, body: Any, code: str) -> None:
    assert refused(call(owner, "post", ERASURES, body), 400, code)


def test_a_conversation_of_somebody_held_is_deleted_by_nobody(owner: Person) -> None:
    conversation = say(owner, f"Do you know {JANE}?")
    held = {"subject": "person", "subject_id": owner.user.public_id, "name": "Case 17", "reason": "Asked."}
    hold = call(owner, "post", HOLDS, held).json()["id"]
    address = f"/api/v1/conversations/{conversation.public_id}"
    assert refused(call(owner, "delete", address), 409, "legal_hold")
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    approve(owner, erasure_id)
    back = go_on(owner, erasure_id)
    assert (back["state"], "Case 17" in back["fault"]) == ("planned", True)
    assert texts_of(owner, conversation) == [f"Do you know {JANE}?"]
    call(owner, "post", f"{HOLDS}/{hold}/lift", {"reason": "It is over."})
    assert call(owner, "delete", address).status_code == 204


def test_what_failed_for_good_is_approved_again_and_not_taken_back(owner: Person, monkeypatch: Any) -> None:
    bring(owner, ROWS_OF_JANE)
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    approve(owner, erasure_id)

    def away(*_: Any, **__: Any) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(objects, "put", away)
        for _ in range(work.MAX_ATTEMPTS):
            failed = go_on(owner, erasure_id)
    assert failed["state"] == "failed"
    assert "object store" in failed["fault"]
    assert refused(call(owner, "delete", f"{ERASURES}/{erasure_id}"), 409, "erasure_state")
    assert approve(owner, erasure_id).status_code == 202
    assert go_on(owner, erasure_id)["state"] == "completed"


def test_an_administration_key_asks_and_never_approves(owner: Person) -> None:
    program = Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {admin_secret(owner)}"})
    asked = program.post(ERASURES, {"words": [JANE]}, content_type="application/json")
    assert asked.status_code == 202
    erasure_id = asked.json()["id"]
    go_on(owner, erasure_id)
    approval = program.post(f"{ERASURES}/{erasure_id}/approve")
    assert refused(approval, 403, "permission_denied")


def test_approving_and_lifting_a_hold_need_a_fresh_proof(owner: Person) -> None:
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    held = {"subject": "organization", "name": "Case 18", "reason": "A court asked."}
    hold = call(owner, "post", HOLDS, held).json()["id"]
    browser = owner.browser
    prove(browser, owner.user, seconds_ago=3600)
    for address, body in (
        (f"{ERASURES}/{erasure_id}/approve", {}),
        (f"{HOLDS}/{hold}/lift", {"reason": "It is over."}),
    ):
        answer = browser.post(address, body, content_type="application/json")
        assert refused(answer, 403, "reauthentication_required")
