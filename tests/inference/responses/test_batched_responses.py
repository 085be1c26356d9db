"""Responses that a batch makes are stored as those of its maker, wherever its worker runs."""

import json

from inference.batches.execution import runner
from kernel.ids import render
from tests.cast import Person
from tests.inference.batches.house import MODEL, bring, read, served
from tests.inference.gateway.fake_tgi import FakeTgi
from tests.inference.responses.house import furnish, rows

ENDPOINT = "/v1/responses"


def request(custom_id: str, **body: object) -> bytes:
    asked = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": {"model": MODEL, **body}}
    return json.dumps(asked).encode() + b"\n"


def test_a_batch_stores_the_responses_that_are_to_be_stored(owner: Person, settings_with: object) -> None:
    with served(FakeTgi()) as tgi, settings_with(POD_URL=tgi.url):  # type: ignore[operator]
        furnish(owner)
        content = request("kept", input="One") + request("not", input="Two", store=False)
        made = owner.openai.batches.create(
            input_file_id=bring(owner, content), endpoint=ENDPOINT, completion_window="24h"
        )
        runner.run_waiting()
    batch = owner.openai.batches.retrieve(made.id)
    assert batch.request_counts is not None
    assert (batch.status, batch.request_counts.completed) == ("completed", 2)
    answers = {one["custom_id"]: one["response"]["body"]["id"] for one in read(owner, batch.output_file_id)}
    (row,) = rows(owner)
    assert render("resp", row.pk) == answers["kept"]
    assert row.created_by_id == owner.user.pk
    assert owner.openai.responses.retrieve(answers["kept"]).output_text == "Hello world!"
