"""Stored responses, through OpenAI's own client: kept, read, continued, deleted, and by whom."""

import json
from typing import Any

import openai
import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from inference.deployments import entries
from inference.deployments.valkey import valkey
from inference.responses import keeping
from inference.responses.models import StoredResponse
from kernel.audit.models import AuditEntry
from kernel.ids import parse
from tenants.access.models import ApiKey
from tenants.organizations.models import HeldSubject
from tenants.organizations.services.holds import set_hold
from tests.cast import Person
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.test_published_schema import check, specification
from tests.inference.responses.house import (
    MODEL,
    ZERO,
    Desk,
    furnished,
    publish_keys,
    retain,
    rows,
    turns,
)

__all__ = ["specification"]

ANSWER = "Hello world!"


async def ask(desk: Desk, person: Person, text: Any = "Hi", **options: Any) -> Any:
    """The response; of a stream all its events."""
    async with desk.client(person) as client:
        made: Any = await client.responses.create(model=MODEL, input=text, **options)
        return [event async for event in made] if options.get("stream") else made


async def refusal_of(asking: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as refused:
        await asking
    return refused.value


async def retrieve(desk: Desk, person: Person, response_id: str) -> Any:
    async with desk.client(person) as client:
        return await client.responses.retrieve(response_id)


async def test_a_response_is_stored_and_read_back_as_it_was_answered(
    owner: Person, desk: Desk, specification: dict[str, Any]
) -> None:
    await furnished(owner)
    made = await ask(desk, owner, instructions="Be brief.", metadata={"topic": "greetings"})
    assert (made.store, made.output_text) == (True, ANSWER)
    read = await retrieve(desk, owner, made.id)
    assert read.model_dump() == made.model_dump()
    answer = await desk.call(owner, "GET", f"/v1/responses/{made.id}")
    check(specification, "Response", answer.json())
    items = await desk.call(owner, "GET", f"/v1/responses/{made.id}/input_items")
    check(specification, "ResponseItemList", items.json())
    (item,) = items.json()["data"]
    assert (item["role"], item["content"]) == ("user", [{"type": "input_text", "text": "Hi"}])


async def test_a_streamed_response_can_be_read_once_its_last_event_is_there(
    owner: Person, desk: Desk
) -> None:
    await furnished(owner)
    events = await ask(desk, owner, stream=True)
    last = events[-1]
    assert last.type == "response.completed"
    assert (await retrieve(desk, owner, last.response.id)).model_dump() == last.response.model_dump()


async def test_nothing_is_stored_while_the_data_retention_is_zero(owner: Person, desk: Desk) -> None:
    await furnished(owner, retention=ZERO)
    made = await ask(desk, owner)
    assert made.store is False
    assert (await refusal_of(retrieve(desk, owner, made.id))).status_code == 404
    refused = await refusal_of(ask(desk, owner, store=True))
    assert (refused.status_code, refused.code, refused.param) == (400, "responses_not_stored", "store")
    assert await sync_to_async(rows)(owner) == []


async def test_a_caller_may_wish_that_nothing_is_stored(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    made = await ask(desk, owner, store=False)
    assert made.store is False
    assert await sync_to_async(rows)(owner) == []


async def test_a_response_continues_those_before_it(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    first = await ask(desk, owner, "One", instructions="Be brief.")
    second = await ask(desk, owner, "Two", previous_response_id=first.id)
    events = await ask(
        desk, owner, "Three", previous_response_id=second.id, instructions="Rhyme.", stream=True
    )
    assert second.previous_response_id == first.id
    assert events[-1].response.previous_response_id == second.id
    one, two = ("user", "One"), ("user", "Two")
    told = ("assistant", ANSWER)
    # Instructions are of one response only, as OpenAI has it.
    assert desk.prompts[1].endswith(turns(one, told, two))
    assert "Be brief." not in desk.prompts[1]
    assert desk.prompts[2] == turns(("system", "Rhyme."), one, told, two, told, ("user", "Three"))


async def test_two_may_continue_the_same_one(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    first = await ask(desk, owner, "One")
    for text in ("Two", "Other"):
        await ask(desk, owner, text, previous_response_id=first.id, instructions="Be brief.")
    assert "Two" not in desk.prompts[2]
    assert desk.prompts[2].endswith(turns(("user", "One"), ("assistant", ANSWER), ("user", "Other")))


async def test_what_was_deleted_is_neither_read_nor_continued(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    first = await ask(desk, owner, "One")
    second = await ask(desk, owner, "Two", previous_response_id=first.id)
    async with desk.client(owner) as client:
        await client.responses.delete(first.id)
    assert (await refusal_of(retrieve(desk, owner, first.id))).code == "response_not_found"
    for lost in (first, second):
        refused = await refusal_of(ask(desk, owner, "Three", previous_response_id=lost.id))
        assert (refused.status_code, refused.code) == (400, "previous_response_not_found")
        assert refused.param == "previous_response_id"
    assert (await retrieve(desk, owner, second.id)).id == second.id
    deleted = await desk.call(owner, "DELETE", f"/v1/responses/{second.id}")
    assert deleted.json() == {"id": second.id, "object": "response", "deleted": True}


async def test_a_stranger_finds_none_of_it(owner: Person, stranger: Person, desk: Desk) -> None:
    await furnished(owner)
    await furnished(stranger)
    made = await ask(desk, owner)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        answer = await desk.call(stranger, method, f"/v1/responses/{made.id}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "response_not_found")
    refused = await refusal_of(ask(desk, stranger, previous_response_id=made.id))
    assert refused.code == "previous_response_not_found"
    assert len(await sync_to_async(rows)(owner)) == 1


async def test_a_key_reads_and_continues_only_where_it_may(owner: Person, desk: Desk) -> None:
    def allow(*permissions: str) -> None:
        with owner.acting():
            ApiKey.objects.filter(created_by=owner.user).update(permissions=list(permissions))
        publish_keys(owner)

    await furnished(owner)
    made = await ask(desk, owner)
    await sync_to_async(allow)("inference.complete")
    # The announcement takes a moment to arrive.
    assert (await retried(lambda: ask(desk, owner, previous_response_id=made.id))).status_code == 403
    assert (await refusal_of(retrieve(desk, owner, made.id))).status_code == 403
    await sync_to_async(allow)("response.read")
    assert (await retrieve(desk, owner, made.id)).id == made.id
    assert (await desk.call(owner, "DELETE", f"/v1/responses/{made.id}")).status_code == 403


async def retried(make: Any) -> openai.APIStatusError:
    """The refusal that comes once the gateway has heard."""
    for _ in range(100):
        try:
            await make()
        except openai.APIStatusError as refused:
            return refused
    raise AssertionError("it was never refused")


async def test_items_are_listed_in_pages(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    said: Any = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Two", "annotations": []}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Three"}]},
    ]
    made = await ask(desk, owner, said)
    async with desk.client(owner) as client:
        page = await client.responses.input_items.list(made.id, order="asc", limit=2)
        texts = [item.content[0].text async for item in page]  # type: ignore[union-attr]
        newest = await client.responses.input_items.list(made.id, limit=1)
    assert texts == ["One", "Two", "Three"]
    assert newest.data[0].content[0].text == "Three"  # type: ignore[union-attr]
    unknown = await desk.call(owner, "GET", f"/v1/responses/{made.id}/input_items?after=msg_x")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "after")


async def test_only_sealed_content_is_kept(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    await ask(desk, owner, "A very secret question")

    def looked_at() -> tuple[list[bytes], bytes]:
        (row,) = rows(owner)
        names: Any = valkey().keys("*")
        return [bytes(row.sealed_items), bytes(row.sealed_body)], b"".join(
            valkey().dump(n) or b"" for n in names
        )

    sealed, in_valkey = await sync_to_async(looked_at)()
    for kept in (*sealed, in_valkey):
        assert b"secret question" not in kept
        assert b"world" not in kept


async def test_a_response_that_cannot_be_stored_is_no_success(
    owner: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise OperationalError

    await furnished(owner)
    monkeypatch.setattr(keeping, "_keep", away)
    monkeypatch.setattr(keeping, "DELAYS_SECONDS", ())
    refused = await refusal_of(ask(desk, owner))
    assert (refused.status_code, refused.code) == (503, "response_store_unavailable")
    events = await ask(desk, owner, stream=True)
    assert (events[-1].type, events[-1].code) == ("error", "response_store_unavailable")
    assert (await ask(desk, owner, store=False)).output_text == ANSWER


async def test_a_moment_without_the_database_is_bridged(
    owner: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    keep = keeping._keep

    def late(finished: Any) -> None:
        calls.append(finished)
        if len(calls) == 1:
            raise OperationalError
        keep(finished)

    await furnished(owner)
    monkeypatch.setattr(keeping, "_keep", late)
    made = await ask(desk, owner)
    assert (await retrieve(desk, owner, made.id)).id == made.id


async def test_the_retention_is_looked_at_again_before_something_is_written(
    owner: Person, desk: Desk
) -> None:
    await furnished(owner)

    def without_telling() -> None:
        organization = type(owner.organization)
        with owner.acting():
            organization.objects.filter(pk=owner.organization.pk).update(data_retention=ZERO)

    await sync_to_async(without_telling)()
    assert (await refusal_of(ask(desk, owner))).code == "responses_not_stored"
    assert await sync_to_async(rows)(owner) == []


async def test_what_was_stored_before_can_still_be_continued(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    first = await ask(desk, owner, "One")
    await sync_to_async(retain)(owner, ZERO)
    second = await ask(desk, owner, "Two", previous_response_id=first.id, store=False)
    assert second.store is False
    assert desk.prompts[1].endswith(turns(("user", "One"), ("assistant", ANSWER), ("user", "Two")))


async def test_calls_and_their_outputs_are_continued_too(
    owner: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "FEATURES", [*entries.FEATURES, "tools"])
    await furnished(owner)
    call: Any = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    first = await ask(desk, owner, [{"role": "user", "content": "Rome?"}, call, output])
    items = await desk.call(owner, "GET", f"/v1/responses/{first.id}/input_items?order=asc")
    assert [item["type"] for item in items.json()["data"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]
    await ask(desk, owner, "Thanks", previous_response_id=first.id)
    assert "assistant\n<call>weather<|im_end|>\n<|im_start|>tool\nsunny<|im_end|>" in desk.prompts[1]


async def test_a_response_that_has_ended_cannot_be_cancelled(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    made = await ask(desk, owner)
    async with desk.client(owner) as client:
        refused = await refusal_of(client.responses.cancel(made.id))
    assert (refused.status_code, refused.code) == (400, "response_not_cancellable")


async def test_a_response_that_broke_off_is_not_stored(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    desk.tgi.script = Script(close_after=2)
    events = await ask(desk, owner, stream=True)
    assert events[-1].type == "error"
    assert await sync_to_async(rows)(owner) == []


async def test_reading_and_deleting_leave_entries_in_the_audit_log(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    made = await ask(desk, owner)
    await retrieve(desk, owner, made.id)
    continued = await desk.call(
        owner, "POST", "/v1/responses", json={"model": MODEL, "input": "Hi", "previous_response_id": made.id}
    )
    await desk.call(owner, "DELETE", f"/v1/responses/{made.id}")

    def recorded() -> list[AuditEntry]:
        with owner.acting():
            return list(AuditEntry.objects.filter(action__startswith="response.").order_by("pk"))

    entries = await sync_to_async(recorded)()
    assert [entry.action for entry in entries] == ["response.read", "response.read", "response.delete"]
    assert {entry.target for entry in entries} == {made.id}
    assert {entry.person for entry in entries} == {owner.user.pk}
    assert entries[1].request_id == continued.headers["x-request-id"]
    assert "Hi" not in json.dumps([entry.details for entry in entries])


async def test_a_held_persons_responses_are_not_deleted(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    made = await ask(desk, owner)

    def hold() -> None:
        with owner.acting():
            set_hold(HeldSubject.PERSON, owner.user.pk, name="A case", reason="A court asked.", by=None)

    await sync_to_async(hold)()
    answer = await desk.call(owner, "DELETE", f"/v1/responses/{made.id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "legal_hold")


async def test_what_is_asked_again_under_the_same_id_takes_the_place(owner: Person, desk: Desk) -> None:
    await furnished(owner)
    made = await ask(desk, owner)

    def again() -> StoredResponse:
        (row,) = rows(owner)
        principal = keeping.Principal(
            organization_id=str(owner.organization.pk),
            project_id=str(owner.project.pk),
            key_id=None,
            user_id=str(owner.user.pk),
            permissions=frozenset(),
        )
        keeping._keep(
            keeping.FinishedResponse(
                request_id=row.pk,
                principal=principal,
                previous_id=None,
                input=[],
                response=row.body | {"output": []},
            )
        )
        (kept,) = rows(owner)
        return kept

    kept = await sync_to_async(again)()
    assert (kept.pk, kept.body["output"]) == (parse("resp", made.id), [])
