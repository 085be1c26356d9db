"""Embeddings, moderations and images: passed to a server that can, through OpenAI's own client."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House
from tests.inference.gateway.test_published_schema import check, specification

__all__ = ["specification"]

EMBEDDINGS, MODERATIONS, IMAGES = "/v1/embeddings", "/v1/moderations", "/v1/images/generations"
CATEGORIES = [
    *("hate", "hate/threatening", "harassment", "harassment/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
]
RESULT = {
    "flagged": True,
    "categories": {name: name == "violence" for name in CATEGORIES},
    "category_scores": dict.fromkeys(CATEGORIES, 0.25),
    "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
}
PICTURE = base64.b64encode(b"picture").decode()
over_openai = pytest.mark.parametrize("house", ["openai"], indirect=True)


def embedded(*vectors: list[float], tokens: int = 5) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(vectors)]
    return {"object": "list", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


async def able(house: House, *features: str) -> None:
    backend = {"kind": "openai", "url": house.tgi.url, "features": ["vllm", *features]}
    await house.redeploy(kind="openai", backends=[backend])


async def post(house: House, path: str, **body: Any) -> httpx.Response:
    return await house.client.post(path, json={"model": "support"} | body, headers=house.tenant.headers)


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key=house.tenant.secret, max_retries=0
    ) as client:
        yield client


@over_openai
async def test_each_text_has_its_embedding(house: House, client: openai.AsyncOpenAI) -> None:
    await able(house, "embeddings")
    answer = embedded([0.5, -1.0], [0.25, 2.0])
    answer["data"].reverse()
    house.tgi.answers[EMBEDDINGS] = answer
    told = await client.embeddings.create(model="support", input=["One", "Two"])
    assert [(one.index, one.embedding) for one in told.data] == [(0, [0.5, -1.0]), (1, [0.25, 2.0])]
    assert (told.model, told.usage.prompt_tokens, told.usage.total_tokens) == ("support", 5, 5)
    (sent,) = house.tgi.forwarded
    assert (sent["input"], sent["encoding_format"]) == (["One", "Two"], "float")
    assert sent["model"] == f"adapter-{'ab' * 32}"
    (record,) = await house.records(1)
    assert (record["surface"], record["status"]) == ("embeddings", "completed")
    assert (record["prompt_tokens"], record["completion_tokens"]) == (5, 0)


@over_openai
@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
async def test_tokens_reach_the_server_as_they_are(house: House, tokens: list[Any]) -> None:
    await able(house, "embeddings")
    several = isinstance(tokens[0], list)
    house.tgi.answers[EMBEDDINGS] = embedded(*[[0.5]] * (2 if several else 1))
    assert (await post(house, EMBEDDINGS, input=tokens)).status_code == 200
    assert house.tgi.forwarded[0]["input"] == (tokens if several else [tokens])


@over_openai
async def test_embeddings_come_as_floats_or_as_base64(house: House) -> None:
    await able(house, "embeddings")
    house.tgi.answers[EMBEDDINGS] = embedded([0.5, -1.0])
    plain = (await post(house, EMBEDDINGS, input="One", encoding_format="float")).json()
    assert plain["data"][0]["embedding"] == [0.5, -1.0]
    packed = (await post(house, EMBEDDINGS, input="One", encoding_format="base64")).json()
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (0.5, -1.0)


@over_openai
async def test_dimensions_are_cut_where_the_model_allows_it_only(house: House) -> None:
    await able(house, "embeddings")
    house.tgi.answers[EMBEDDINGS] = embedded([0.5, -1.0])
    refused = (await post(house, EMBEDDINGS, input="One", dimensions=2)).json()["error"]
    assert (refused["code"], refused["param"]) == ("unsupported_parameter", "dimensions")
    await able(house, "embeddings", "embedding_dimensions")
    assert (await post(house, EMBEDDINGS, input="One", dimensions=2)).status_code == 200
    assert house.tgi.forwarded[0]["dimensions"] == 2
    ignored = await post(house, EMBEDDINGS, input="One", dimensions=1)
    assert (ignored.status_code, ignored.json()["error"]["code"]) == (502, "model_failed")


@pytest.mark.parametrize(
    ("path", "body", "feature"),
    [
        (EMBEDDINGS, {"input": "One"}, "embeddings"),
        (MODERATIONS, {"input": "One"}, "moderations"),
        (IMAGES, {"prompt": "A cat"}, "images"),
    ],
)
async def test_a_model_that_cannot_says_what_to_deploy(
    house: House, path: str, body: dict[str, Any], feature: str
) -> None:
    refused = await post(house, path, **body)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "model")
    assert f"feature '{feature}'" in error["message"]
    assert await house.records(0) == [], "nothing reached a model"


@over_openai
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (EMBEDDINGS, {}, "input"),
        (EMBEDDINGS, {"input": ""}, "input"),
        (EMBEDDINGS, {"input": []}, "input"),
        (EMBEDDINGS, {"input": ["a", ""]}, "input[1]"),
        (EMBEDDINGS, {"input": [1, "a"]}, "input[1]"),
        (EMBEDDINGS, {"input": [[1], []]}, "input[1]"),
        (EMBEDDINGS, {"input": ["a"] * 2049}, "input"),
        (EMBEDDINGS, {"input": "a", "encoding_format": "int8"}, "encoding_format"),
        (EMBEDDINGS, {"input": "a", "dimensions": 0}, "dimensions"),
        (EMBEDDINGS, {"input": "a", "further": 1}, "further"),
        (MODERATIONS, {"input": []}, "input"),
        (MODERATIONS, {"input": [{"type": "image_url", "image_url": {"url": "x"}}]}, "input[0].type"),
        (IMAGES, {"prompt": ""}, "prompt"),
        (IMAGES, {"prompt": "A cat", "n": 11}, "n"),
        (IMAGES, {"prompt": "A cat", "response_format": "url"}, "response_format"),
        (IMAGES, {"prompt": "A cat", "stream": True}, "stream"),
    ],
)
async def test_wrong_parameters_are_named(house: House, path: str, body: dict[str, Any], param: str) -> None:
    await able(house, "embeddings", "moderations", "images")
    refused = await post(house, path, **body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert house.tgi.forwarded == []


@over_openai
async def test_moderations_are_the_servers_own_word(house: House, client: openai.AsyncOpenAI) -> None:
    await able(house, "moderations")
    house.tgi.answers[MODERATIONS] = {"id": "other", "results": [RESULT]}
    told = await client.moderations.create(model="support", input="One")
    assert told.id.startswith("modr-")
    assert told.results[0].flagged
    assert told.results[0].categories.violence
    (record,) = await house.records(1)
    assert record["surface"] == "moderations"


@over_openai
async def test_images_come_as_data(house: House, client: openai.AsyncOpenAI) -> None:
    await able(house, "images")
    house.tgi.answers[IMAGES] = {"created": 1, "data": [{"b64_json": PICTURE, "url": "http://inside"}] * 2}
    told = await client.images.generate(model="support", prompt="A cat", n=2, size="512x512")
    assert told.data is not None
    assert [(one.b64_json, one.url) for one in told.data] == [(PICTURE, None)] * 2
    (sent,) = house.tgi.forwarded
    assert (sent["prompt"], sent["n"], sent["size"], sent["response_format"]) == (
        "A cat",
        2,
        "512x512",
        "b64_json",
    )


@over_openai
@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (EMBEDDINGS, {"input": "One"}, embedded()),
        (EMBEDDINGS, {"input": "One"}, embedded([0.5]) | {"usage": None}),
        (EMBEDDINGS, {"input": "One"}, embedded([])),
        (MODERATIONS, {"input": "One"}, {"results": [{"flagged": True}]}),
        (IMAGES, {"prompt": "A cat"}, {"data": [{"url": "http://inside"}]}),
        (IMAGES, {"prompt": "A cat"}, []),
    ],
)
async def test_an_answer_without_what_was_asked_for_is_no_answer(
    house: House, path: str, body: dict[str, Any], answer: object
) -> None:
    await able(house, "embeddings", "moderations", "images")
    house.tgi.answers[path] = answer
    failed = await post(house, path, **body)
    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "model_failed")
    (record,) = await house.records(1)
    assert (record["status"], record["prompt_tokens"]) == ("failed", 0)


@over_openai
async def test_a_server_that_refuses_or_is_full_is_told_as_of_completions(house: House) -> None:
    await able(house, "embeddings")
    house.tgi.answers[EMBEDDINGS] = {}
    house.tgi.script = Script(status=429, error={"error": "queue is full", "error_type": "overloaded"})
    full = await post(house, EMBEDDINGS, input="One")
    assert (full.status_code, full.json()["error"]["code"]) == (429, "model_overloaded")
    assert "retry-after" in full.headers
    house.tgi.script = Script(status=400, error={"error": "no", "error_type": "validation"})
    assert (await post(house, EMBEDDINGS, input="One")).json()["error"]["code"] == "invalid_request"


@over_openai
async def test_another_models_vectors_are_not_shown(house: House) -> None:
    await able(house, "embeddings")
    house.tgi.answers[EMBEDDINGS] = embedded([0.5]) | {"model": "another"}
    assert (await post(house, EMBEDDINGS, input="One")).json()["error"]["code"] == "adapter_mismatch"


@over_openai
async def test_limits_hold_for_embeddings(house: House) -> None:
    await able(house, "embeddings")
    house.tgi.answers[EMBEDDINGS] = embedded([0.5])
    bound = {"scope": "organization", "subject_id": "", "kind": "requests_per_minute", "value": 1}
    await house.publisher.limits(house.tenant, bound)
    await asyncio.sleep(0.2)
    answers = [await post(house, EMBEDDINGS, input="One") for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 429]
    assert answers[1].json()["error"]["code"] == "requests_per_minute_reached"


@over_openai
async def test_a_caller_who_leaves_is_recorded_as_gone(house: House) -> None:
    await able(house, "embeddings")
    house.tgi.answers[EMBEDDINGS] = embedded([0.5])
    house.tgi.script = Script(first_delay=30)
    with pytest.raises(httpx.ReadTimeout):
        await house.client.post(
            EMBEDDINGS, json={"model": "support", "input": "x"}, headers=house.tenant.headers, timeout=0.5
        )
    (record,) = await house.records(1)
    assert (record["status"], record["prompt_tokens"]) == ("cancelled", 0)


async def test_a_key_is_needed(house: House) -> None:
    for path in (EMBEDDINGS, MODERATIONS, IMAGES, "/v1/responses"):
        assert (await house.client.post(path, json={})).status_code == 401
        wrong = await house.client.get(path, headers=house.tenant.headers)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@over_openai
async def test_answers_follow_the_published_schema(house: House, specification: dict[str, Any]) -> None:
    await able(house, "embeddings", "moderations", "images")
    house.tgi.answers[EMBEDDINGS] = embedded([0.5])
    house.tgi.answers[MODERATIONS] = {"results": [RESULT]}
    house.tgi.answers[IMAGES] = {"data": [{"b64_json": PICTURE}]}
    embeddings = await post(house, EMBEDDINGS, input="One")
    check(specification, "CreateEmbeddingResponse", embeddings.json())
    check(specification, "CreateModerationResponse", (await post(house, MODERATIONS, input="One")).json())
    check(specification, "ImagesResponse", (await post(house, IMAGES, prompt="A cat")).json())
