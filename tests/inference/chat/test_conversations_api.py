"""Conversations through REST: one's own, with a model of one's project, deleted for good."""

from typing import Any

import pytest

from inference.chat.models import Message
from inference.chat.services import send_message, title_of
from kernel import ids
from tests.cast import Person

PATH = "/api/v1/conversations"


def begin(person: Person, model: str) -> dict[str, Any]:
    answer = person.browser.post(PATH, {"model": model}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_conversation_has_exactly_what_the_contract_says(owner: Person, deployed: str) -> None:
    shown = begin(owner, deployed)
    assert shown.keys() == {"id", "title", "model", "created_at", "updated_at"}
    assert (shown["title"], shown["model"]) == ("", deployed)
    assert shown["id"].startswith("conv-")
    alone = owner.browser.get(f"{PATH}/{shown['id']}").json()
    assert alone == {**shown, "messages": []}


def test_a_message_has_exactly_what_the_contract_says(owner: Person, deployed: str) -> None:
    conversation = begin(owner, deployed)["id"]
    with owner.acting():
        send_message(owner.principal, ids.parse("conv", conversation), "  Good morning,\n everyone ")
    question, answer = owner.browser.get(f"{PATH}/{conversation}").json()["messages"]
    assert question.keys() == answer.keys()
    assert question.keys() == {
        "id",
        "role",
        "content",
        "state",
        "superseded",
        "model",
        "digest",
        "finish_reason",
        "usage",
        "error",
        "created_at",
    }
    assert question["content"] == "  Good morning,\n everyone "
    assert (answer["role"], answer["state"], answer["model"]) == ("assistant", "streaming", deployed)


@pytest.mark.parametrize("model", ["unknown", "smollm2-135m-instruct"])
def test_a_model_that_the_project_does_not_have_is_unknown(
    owner: Person, stranger: Person, deployed: str, model: str
) -> None:
    answer = stranger.browser.post(PATH, {"model": model}, content_type="application/json")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("model", "model_not_found")


@pytest.mark.parametrize("body", [{}, {"model": 5 * ["x"]}, {"model": ""}, {"model": "x" * 251}])
def test_a_wrong_body_names_what_is_wrong(owner: Person, deployed: str, body: dict[str, Any]) -> None:
    answer = owner.browser.post(PATH, body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


def test_conversations_are_listed_newest_first_in_pages(owner: Person, deployed: str) -> None:
    made = [begin(owner, deployed)["id"] for _ in range(3)]
    first = owner.browser.get(PATH, {"limit": 2}).json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([made[2], made[1]], True)
    rest = owner.browser.get(PATH, {"limit": 2, "after": first["last_id"]}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([made[0]], False)


def test_a_conversation_can_be_renamed_and_go_on_with_another_model(owner: Person, deployed: str) -> None:
    conversation = begin(owner, deployed)["id"]
    answer = owner.browser.patch(
        f"{PATH}/{conversation}", {"title": "Blackbirds"}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["title"]) == (200, "Blackbirds")
    for body, status in (({"title": "\t"}, 400), ({"title": "x" * 201}, 400), ({"model": "unknown"}, 404)):
        refused = owner.browser.patch(f"{PATH}/{conversation}", body, content_type="application/json")
        assert refused.status_code == status
    assert owner.browser.get(f"{PATH}/{conversation}").json()["title"] == "Blackbirds"


def test_a_deleted_conversation_leaves_no_message(owner: Person, deployed: str) -> None:
    conversation = begin(owner, deployed)["id"]
    with owner.acting():
        send_message(owner.principal, ids.parse("conv", conversation), "Forget me")
    assert owner.browser.delete(f"{PATH}/{conversation}").status_code == 204
    assert owner.browser.get(f"{PATH}/{conversation}").status_code == 404
    assert owner.browser.delete(f"{PATH}/{conversation}").status_code == 404
    with owner.acting():
        assert Message.objects.count() == 0


def test_an_api_key_holds_no_conversations(owner: Person, deployed: str) -> None:
    answer = owner.program.get(PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


def test_a_title_is_the_first_words_of_the_first_message() -> None:
    assert title_of(" How\n many   blackbirds? ") == "How many blackbirds?"
    title = title_of("word " * 100)
    assert title == "word " * 11 + "word…"
    assert title_of("x" * 500) == "x" * 60 + "…"
