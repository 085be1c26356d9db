"""The clients before the embedded engine: a real model, whose words nobody can know beforehand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from huggingface_hub import InferenceClient
from pydantic import BaseModel, ConfigDict, Field

from tests.e2e.conformance.node_stories import run_story
from tests.e2e.conformance.places import Place, standing
from tests.inference.engine.pods import KEY, running_pod

# They start a pod with a real model.
pytestmark = [pytest.mark.services, pytest.mark.slow]

FEATURES = ["grammar", "regex", "top_logprobs"]
ASKED: Any = {"model": "support", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}


class Town(BaseModel):
    """What is asked for as JSON."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=9)


@pytest.fixture(scope="module")
def engine_place(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_pod(base_model, tmp_path_factory.mktemp("state")) as pod:
        answer = pod.client.post("/generate", json={"inputs": "x", "parameters": {"max_new_tokens": 1}})
        digest = answer.headers["x-adapter-id"].removeprefix("base-")
        backend = {"kind": "tgi", "url": pod.url, "features": FEATURES}
        published: Any = {"adapter_id": None, "digest": digest, "backends": [backend]}
        with standing(tmp_path_factory.mktemp("place"), pod_key=KEY, **published) as place:
            yield place


@pytest.fixture
def engine(engine_place: Place) -> Iterator[Place]:
    """Whatever a test makes it say has to be as published."""
    yield engine_place
    engine_place.witness.check()


@pytest.fixture
def client(engine: Place) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=engine.v1, api_key=engine.api_key, max_retries=0) as client:
        yield client


def test_openais_client_hears_the_same_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**ASKED, max_tokens=12, logprobs=True, top_logprobs=2, n=2)
    texts = [choice.message.content for choice in whole.choices]
    assert texts[0] == texts[1]
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in logprobs.content)
    usage = {"include_usage": True}
    chunks = list(client.chat.completions.create(**ASKED, max_tokens=12, stream=True, stream_options=usage))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == texts[0]
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_a_schema_is_kept_to(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(**ASKED, max_tokens=60, response_format=Town)
    assert isinstance(answer.choices[0].message.parsed, Town)


def test_completions_and_responses(client: openai.OpenAI) -> None:
    asked: Any = {"model": "support", "temperature": 0}
    text = client.completions.create(**asked, prompt="Once upon a", max_tokens=6, logprobs=2)
    assert text.choices[0].text
    whole = client.responses.create(**asked, input="Hi", max_output_tokens=16)
    with client.responses.stream(**asked, input="Hi", max_output_tokens=16) as stream:
        events = list(stream)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert events[-1].type == f"response.{whole.status}"


def test_a_prompt_that_does_not_fit_is_refused_with_its_code(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="support", prompt="word " * 3000, max_tokens=100)
    assert refused.value.code == "context_length_exceeded"


def test_hugging_faces_client(engine: Place) -> None:
    with InferenceClient(base_url=engine.tgi, api_key=engine.api_key) as client:
        whole = client.text_generation("Once upon a", max_new_tokens=6, details=True, top_n_tokens=2)
        events = list(client.text_generation("Once upon a", max_new_tokens=6, details=True, stream=True))
        assert [event.token.id for event in events] == [token.id for token in whole.details.tokens]
        assert events[-1].generated_text == whole.generated_text
        digits: Any = {"type": "regex", "value": "[0-9]{4}"}
        assert client.text_generation("In the year ", grammar=digits, max_new_tokens=12).isdigit()
        wished: Any = {
            "type": "json_schema",
            "json_schema": {"name": "p", "schema": Town.model_json_schema()},
        }
        told = client.chat_completion(ASKED["messages"], response_format=wished, max_tokens=60, temperature=0)
        assert json.loads(told.choices[0].message.content or "").keys() == {"city"}


def test_the_clients_for_node(engine: Place) -> None:
    run_story("any-model.test.mjs", engine)
