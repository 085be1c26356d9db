"""TGI's own API under `/tgi/{model}`, through HTTP and through Hugging Face's client."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.errors import OverloadedError, TextGenerationError, ValidationError

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import ADAPTER, DIGEST, House, Tenant, deployment

FEATURES = ["top_logprobs", "grammar", "regex", "watermark"]


@pytest.fixture
async def hub(house: House) -> AsyncIterator[AsyncInferenceClient]:
    async with AsyncInferenceClient(
        base_url=f"{house.url}/tgi/support", api_key=house.tenant.secret
    ) as client:
        yield client


def events(text: str) -> list[Any]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]


async def test_hugging_faces_client_generates_whole(house: House, hub: AsyncInferenceClient) -> None:
    assert await hub.text_generation("Once", max_new_tokens=8) == "Hello world!"
    sent = house.tgi.seen[0].body
    assert sent["inputs"] == "Once"
    assert sent["parameters"]["max_new_tokens"] == 8
    assert sent["parameters"]["do_sample"] is False, "as in TGI nothing is sampled unless it is asked for"
    assert sent["parameters"]["adapter_id"] == ADAPTER


async def test_hugging_faces_client_gets_the_details(house: House, hub: AsyncInferenceClient) -> None:
    answer = await hub.text_generation("Once", details=True, do_sample=True, seed=3)
    assert answer.generated_text == "Hello world!"
    assert answer.details is not None
    assert (answer.details.finish_reason, answer.details.generated_tokens) == ("eos_token", 5)
    assert answer.details.seed == 3
    assert [token.text for token in answer.details.tokens] == ["Hello", " wor", "ld", "!", "<|im_end|>"]
    assert [token.id for token in answer.details.tokens] == [0, 1, 2, 3, 4]
    assert [token.special for token in answer.details.tokens] == [False] * 4 + [True]


async def test_hugging_faces_client_streams(hub: AsyncInferenceClient) -> None:
    texts = [text async for text in await hub.text_generation("Once", stream=True)]
    assert texts == ["Hello", " wor", "ld", "!", "<|im_end|>"]
    told = [one async for one in await hub.text_generation("Once", stream=True, details=True)]
    assert [one.index for one in told] == [1, 2, 3, 4, 5]
    assert [one.generated_text for one in told] == [None] * 4 + ["Hello world!"]
    assert told[-1].details is not None
    assert (told[-1].details.finish_reason, told[-1].details.input_length) == ("eos_token", 7)


async def test_the_events_are_those_of_the_model_server_itself(house: House) -> None:
    house.tgi.script = Script(tokens=["a", "b"], finish="length")
    response = await house.native("/generate_stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    token = {"logprob": -0.5, "special": False}
    assert events(response.text) == [
        {"index": 1, "token": {"id": 0, "text": "a"} | token, "generated_text": None, "details": None},
        {
            "index": 2,
            "token": {"id": 1, "text": "b"} | token,
            "generated_text": "ab",
            "details": {"finish_reason": "length", "generated_tokens": 2, "seed": None, "input_length": 7},
        },
    ]
    assert "[DONE]" not in response.text


async def test_a_token_is_told_when_it_comes_and_not_when_the_next_one_does(house: House) -> None:
    house.tgi.script = Script(tokens=["one", "two"], stall_after=1)
    body = {"inputs": "Once", "stream": True}
    async with house.client.stream(
        "POST", "/tgi/support", json=body, headers=house.tenant.headers
    ) as response:
        lines = response.aiter_lines()
        assert '"text":"one"' in await anext(lines)


async def test_the_address_itself_answers_with_a_list_or_streams(house: House) -> None:
    whole = await house.native("")
    assert whole.json() == [{"generated_text": "Hello world!"}]
    assert (await house.native("/")).json() == whole.json()
    streamed = await house.native("", stream=True)
    assert events(streamed.text)[-1]["generated_text"] == "Hello world!"
    assert (await house.native("/generate")).json() == {"generated_text": "Hello world!"}


async def test_a_whole_answer_tells_times_and_counts_in_headers(house: House) -> None:
    headers = (await house.native()).headers
    assert (headers["x-prompt-tokens"], headers["x-generated-tokens"]) == ("7", "5")
    assert headers["x-compute-type"] == "tgi"
    assert headers["x-compute-characters"] == "4"
    assert float(headers["x-compute-time"]) > 0
    for name in ("total", "validation", "queue", "inference"):
        assert int(headers[f"x-{name}-time"]) >= 0
    assert int(headers["x-time-per-token"]) >= 0
    assert headers["x-loomworks-digest"] == DIGEST


async def test_every_parameter_reaches_the_model(house: House) -> None:
    await house.redeploy(backends=[{"kind": "tgi", "url": house.tgi.url, "features": FEATURES}])
    given = {
        "temperature": 0.5,
        "repetition_penalty": 1.2,
        "frequency_penalty": 0.1,
        "top_k": 10,
        "top_p": 0.9,
        "typical_p": 0.95,
        "max_new_tokens": 9,
        "stop": ["END"],
        "truncate": 5,
        "watermark": True,
        "seed": 42,
        "top_n_tokens": 2,
        "grammar": {"type": "regex", "value": "a+"},
    }
    further = {"details": True, "do_sample": True, "return_full_text": True, "adapter_id": None}
    response = await house.native(parameters=given | further)
    assert response.status_code == 200, response.text
    assert response.json()["generated_text"] == "OnceHello world!"
    sent = house.tgi.seen[0].body["parameters"]
    assert {name: sent.get(name) for name in given} == given
    schema = {"type": "object"}
    for grammar in ({"type": "json", "value": json.dumps(schema)}, {"type": "json", "value": schema}):
        await house.native(parameters={"grammar": grammar})
        assert house.tgi.seen[-1].body["parameters"]["grammar"] == {"type": "json", "value": schema}


async def test_stop_sequences_stay_in_the_text_as_tgi_leaves_them(house: House) -> None:
    house.tgi.script = Script(tokens=["One", " E", "ND"], finish="stop_sequence")
    body = (await house.native(parameters={"stop": ["END"], "details": True})).json()
    assert body["generated_text"] == "One END"
    assert body["details"]["finish_reason"] == "stop_sequence"


async def test_the_best_of_several_comes_with_the_others(house: House) -> None:
    house.tgi.next_scripts = [Script(tokens=["bad"], logprob=-3.0), Script(tokens=["best"], logprob=-0.1)]
    parameters = {"best_of": 2, "do_sample": True, "details": True}
    body = (await house.native(parameters=parameters)).json()
    assert body["generated_text"] == "best"
    (other,) = body["details"]["best_of_sequences"]
    assert (other["generated_text"], other["generated_tokens"]) == ("bad", 2)
    assert other["seed"] != body["details"]["seed"]
    (record,) = await house.records(1)
    assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 4)


async def test_alternatives_come_with_their_ids(house: House) -> None:
    await house.redeploy(backends=[{"kind": "tgi", "url": house.tgi.url, "features": FEATURES}])
    house.tgi.script = Script(tokens=["a"], top=[("a", -0.5), ("b", -1.0)])
    parameters = {"top_n_tokens": 2, "details": True}
    (first, *_) = (await house.native(parameters=parameters)).json()["details"]["top_tokens"]
    assert first[1] == {"id": 0, "text": "b", "logprob": -1.0, "special": False}
    (event, *_) = events((await house.native("/generate_stream", parameters=parameters)).text)
    assert event["top_tokens"] == first


async def test_requests_are_metered_once_like_those_of_any_surface(house: House) -> None:
    await house.native()
    await house.native("/generate_stream")
    records = await house.records(2)
    assert [(one["surface"], one["prompt_tokens"], one["completion_tokens"]) for one in records] == [
        ("tgi", 7, 5)
    ] * 2


async def test_information_and_health_are_the_deployments(house: House) -> None:
    async with AsyncInferenceClient(
        model=f"{house.url}/tgi/support", provider="hf-inference", token=house.tenant.secret
    ) as hub:
        told = await hub.get_endpoint_info()
        assert (told["model_id"], told["model_sha"]) == ("support", DIGEST)
        assert told["max_total_tokens"] == 2048
        assert await hub.health_check()
        await house.redeploy(state="loading")
        assert not await hub.health_check()
    response = await house.client.get("/tgi/support/health", headers=house.tenant.headers)
    assert (response.status_code, response.json()["error_type"]) == (503, "healthcheck")


async def test_texts_and_conversations_are_tokenized(house: House) -> None:
    tokens = (await house.native("/tokenize")).json()
    assert tokens == [{"id": 1, "text": "x", "start": 0, "stop": 1}] * 7
    chat = await house.client.post(
        "/tgi/support/chat_tokenize",
        json={"messages": [{"role": "user", "content": "Hi"}]},
        headers=house.tenant.headers,
    )
    assert chat.json() == {
        "tokenize_response": tokens,
        "templated_text": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    }
    assert await house.records(0) == []


async def test_openais_words_are_understood_at_the_models_address_too(house: House) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    for named in ({}, {"model": "tgi"}, {"model": "dummy"}, {"model": "support"}, {"model": ADAPTER}):
        chat = await house.client.post(
            "/tgi/support/v1/chat/completions",
            json={"messages": messages} | named,
            headers=house.tenant.headers,
        )
        assert chat.json()["choices"][0]["message"]["content"] == "Hello world!", named
        assert chat.json()["model"] == "support"
    text = await house.client.post(
        "/tgi/support/v1/completions", json={"prompt": "Once"}, headers=house.tenant.headers
    )
    assert text.json()["choices"][0]["text"] == "Hello world!"
    other = await house.client.post(
        "/tgi/support/v1/chat/completions",
        json={"messages": messages, "model": "another"},
        headers=house.tenant.headers,
    )
    assert (other.status_code, other.json()["error_type"]) == (422, "validation")
    assert "'model'" in other.json()["error"]


async def test_a_model_of_any_name_has_an_address(house: House) -> None:
    name = "ft:smollm2:acme::v1/x"
    await house.publisher.project(house.tenant, deployment(house.tgi.url, alias=name))
    for written in (quote(name, safe=""), name):
        response = await house.native(model=written)
        assert response.status_code == 200, (written, response.text)
        assert (await house.native("", model=written)).json() == [{"generated_text": "Hello world!"}]


async def test_a_stranger_cannot_see_that_a_model_exists(house: House) -> None:
    stranger = Tenant.new()
    await house.publisher.key(stranger)
    foreign = await house.client.post("/tgi/support", json={"inputs": "x"}, headers=stranger.headers)
    unknown = await house.native(model="nothing")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["error_type"] == "not_found"
    assert foreign.json()["error"].replace("support", "nothing") == unknown.json()["error"]
    nobody = await house.client.post("/tgi/support", json={"inputs": "x"})
    assert (nobody.status_code, nobody.json()["error_type"]) == (401, "unauthorized")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"inputs": None}, "inputs"),
    ({"inputs": ""}, "inputs"),
    ({"inputs": 7}, "inputs"),
    ({"inputs": ["a"]}, "inputs"),
    ({"inputs": "a\0"}, "inputs"),
    ({"colour": "red"}, "colour"),
    ({"parameters": []}, "parameters"),
    ({"stream": True}, "stream"),
    ({"stream": "yes"}, "stream"),
    *[
        ({"parameters": {name: value}}, name)
        for name, value in (
            ("temperature", 0),
            ("temperature", "hot"),
            ("temperature", True),
            ("repetition_penalty", 0),
            ("frequency_penalty", 3),
            ("top_k", 0),
            ("top_k", 1.5),
            ("top_p", 0),
            ("top_p", 1.5),
            ("typical_p", 0),
            ("max_new_tokens", 0),
            ("max_new_tokens", -1),
            ("stop", ["a", "b", "c", "d", "e"]),
            ("stop", [""]),
            ("stop", "END"),
            ("truncate", 0),
            ("seed", -1),
            ("seed", 1.5),
            ("best_of", 0),
            ("best_of", 99),
            ("best_of", 2),
            ("top_n_tokens", 9),
            ("top_n_tokens", 2),
            ("watermark", True),
            ("details", "yes"),
            ("do_sample", 1),
            ("decoder_input_details", True),
            ("adapter_id", "another"),
            ("grammar", {"type": "json", "value": {}}),
            ("grammar", {"type": "xml", "value": ""}),
            ("grammar", {"type": "json", "value": "{"}),
            ("grammar", {"type": "regex"}),
            ("grammar", "a+"),
            ("max_tokens", 5),
        )
    ],
]


async def test_every_bad_request_is_refused_in_tgis_form_and_names_what_is_wrong(house: House) -> None:
    for changes, name in BAD:
        response = await house.native("/generate", **changes)
        error = response.json()
        assert (response.status_code, error["error_type"]) == (422, "validation"), (changes, error)
        assert error["error"].startswith("Input validation error: "), changes
        assert name in error["error"], (changes, error)
    assert house.tgi.seen == []
    assert await house.records(0) == []


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"{", 400, "malformed"),
        (b"", 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b"[]", 422, "validation"),
        (b'{"inputs": "' + b"x" * (5 * 1024 * 1024) + b'"}', 413, "too_large"),
    ],
)
async def test_a_body_that_is_no_request_is_refused(
    house: House, content: bytes, status: int, kind: str
) -> None:
    headers = house.tenant.headers | {"content-type": "application/json"}
    response = await house.client.post("/tgi/support/generate", content=content, headers=headers)
    assert (response.status_code, response.json()["error_type"]) == (status, kind)


async def test_faults_of_the_model_have_tgis_statuses_and_hugging_faces_exceptions(
    house: House, hub: AsyncInferenceClient
) -> None:
    house.tgi.script = Script(error={"error": "Model is overloaded", "error_type": "overloaded"})
    for endpoint in ("/generate", "/generate_stream"):
        response = await house.native(endpoint)
        assert (response.status_code, response.json()["error_type"]) == (429, "overloaded")
        assert int(response.headers["retry-after"]) >= 1
    with pytest.raises(OverloadedError):
        await hub.text_generation("Once")
    with pytest.raises(ValidationError):
        await hub.text_generation("Once", top_k=0)
    house.tgi.script = Script(reset_after=0)
    response = await house.native()
    assert (response.status_code, response.json()["error_type"]) == (424, "generation")
    house.tgi.script = Script(status=503, error={"error": "unhealthy", "error_type": "healthcheck"})
    with pytest.raises(TextGenerationError, match="cannot be reached"):
        await hub.text_generation("Once")
    house.tgi.script = Script(reset_after=2)
    last = events((await house.native("/generate_stream")).text)[-1]
    assert last["error_type"] == "generation"


async def test_no_error_can_make_hugging_faces_client_drop_parameters(house: House) -> None:
    said = "The following `model_kwargs` are not used by the model: ['top_k']"
    house.tgi.script = Script(error={"error": said, "error_type": "validation"})
    assert "model_kwargs" not in (await house.native()).text
    assert "model_kwargs" not in (await house.native(parameters={"model_kwargs": 1})).text


async def test_another_address_or_method_has_tgis_error_too(house: House) -> None:
    wrong = await house.client.get("/tgi/support/generate", headers=house.tenant.headers)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error_type"] == "method_not_allowed"
    missing = await house.client.get("/tgi/", headers=house.tenant.headers)
    assert (missing.status_code, missing.json()["error_type"]) == (404, "not_found")
