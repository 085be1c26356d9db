"""Other people's clients against the whole platform, with a key that it made: what a gateway alone lacks."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from huggingface_hub import InferenceClient

from tests.e2e import loop
from tests.e2e.conformance.node_stories import run_story
from tests.e2e.conformance.places import Address

pytestmark = pytest.mark.slow

BATCH_SECONDS = 120.0


@pytest.fixture(scope="module")
def platform(stack: Any) -> Address:
    return Address(stack.url, stack.demo["api_key"], loop.BASE)


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[openai.OpenAI]:
    with loop.client_of(stack.demo) as client:
        yield client


def question(name: str) -> bytes:
    body = {"model": loop.BASE, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    line = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode() + b"\n"


def test_a_file_is_kept_listed_read_and_deleted(client: openai.OpenAI) -> None:
    content = loop.sample_rows(3)
    file = client.files.create(file=("rows.jsonl", content), purpose="fine-tune")
    assert client.files.retrieve(file.id).filename == "rows.jsonl"
    assert file.id in {one.id for one in client.files.list()}
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_batch_is_answered_by_the_engine(client: openai.OpenAI) -> None:
    file = client.files.create(file=("batch.jsonl", question("one") + question("two")), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )

    def ended() -> Any:
        batch = client.batches.retrieve(made.id)
        return batch if batch.status in {"completed", "failed", "cancelled", "expired"} else None

    batch = loop.eventually(ended, seconds=BATCH_SECONDS, what="the end of the batch")
    assert batch.status == "completed", batch.errors
    assert batch.id in {one.id for one in client.batches.list()}
    lines = client.files.content(batch.output_file_id).text.splitlines()
    answers = {answer["custom_id"]: answer["response"] for answer in map(json.loads, lines)}
    assert answers.keys() == {"one", "two"}
    assert all(one["body"]["choices"][0]["message"]["content"] for one in answers.values())


def test_hugging_faces_client_is_served_by_both_apis(platform: Address) -> None:
    asked: Any = {"max_tokens": 4, "temperature": 0}
    user = [{"role": "user", "content": "Hi"}]
    with InferenceClient(base_url=platform.tgi, api_key=platform.api_key) as native:
        assert native.text_generation("Once upon a", max_new_tokens=4)
        at_the_model = native.chat_completion(user, **asked).choices[0].message.content
    with InferenceClient(base_url=platform.v1, api_key=platform.api_key) as client:
        assert (
            client.chat_completion(user, model=platform.model, **asked).choices[0].message.content
            == at_the_model
        )


def test_the_clients_for_node(platform: Address) -> None:
    run_story("any-model.test.mjs", platform)
