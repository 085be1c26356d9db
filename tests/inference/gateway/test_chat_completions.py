"""Chat completions through HTTP and through OpenAI's own client."""

import openai
from openai.types.chat import ChatCompletionMessageParam

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import ADAPTER, DIGEST, House, over_both_kinds


@over_both_kinds
async def test_an_answer_has_openais_shape_and_names_what_served_it(house: House) -> None:
    response = await house.chat()
    body = response.json()
    assert response.status_code == 200, body
    assert body["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello world!", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    assert body["system_fingerprint"] == f"fp_{DIGEST[:16]}"
    assert response.headers["x-loomworks-digest"] == DIGEST
    assert response.headers["x-request-id"].removeprefix("req_") == body["id"].removeprefix("chatcmpl-")
    asked = house.tgi.seen[0].body
    assert (asked["parameters"]["adapter_id"] if house.kind == "tgi" else asked["model"]) == ADAPTER
    assert house.tgi.keys == {"Bearer pod-secret"}


@over_both_kinds
async def test_the_official_client_streams_token_by_token_and_reads_the_same_text_whole(house: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.tenant.secret) as client:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
        whole = await client.chat.completions.create(model="support", messages=messages)
        stream = await client.chat.completions.create(
            model="support",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    pieces = [
        chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content
    ]
    assert pieces == ["Hello", " wor", "ld", "!"]
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


@over_both_kinds
async def test_each_request_leaves_one_usage_record(house: House) -> None:
    await house.chat()
    await house.chat(stream=True)
    records = await house.records(2)
    assert len(records) == 2
    assert {record["status"] for record in records} == {"completed"}
    assert {record["completion_tokens"] for record in records} == {5}
    assert records[0]["project_id"] == house.tenant.project_id


@over_both_kinds
async def test_text_split_anywhere_on_the_wire_arrives_unharmed(house: House) -> None:
    house.tgi.script = Script(tokens=["Grüß", " dich", " 👋🏽", "", " 漢字"], split=1)
    body = (await house.chat()).json()
    assert body["choices"][0]["message"]["content"] == "Grüß dich 👋🏽 漢字"
