"""Completions of text, through HTTP and through OpenAI's own client."""

from collections.abc import AsyncIterator

import openai
import pytest

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import DIGEST, House

TOP = [("Hello", -0.5), ("Hi", -1.5)]


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.tenant.secret) as client:
        yield client


async def test_a_completion_continues_the_text_as_it_is(house: House, client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="support", prompt="<|im_start|>Once", max_tokens=9)
    assert answer.choices[0].text == "Hello world!"
    assert (answer.choices[0].index, answer.choices[0].finish_reason) == (0, "stop")
    assert answer.choices[0].logprobs is None
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert answer.system_fingerprint == f"fp_{DIGEST[:16]}"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 5)
    sent = house.tgi.seen[0].body
    assert sent["inputs"] == "<|im_start|>Once", "no template is applied and nothing is taken out"
    assert sent["parameters"]["max_new_tokens"] == 9
    (record,) = await house.records(1)
    assert (record["surface"], record["prompt_tokens"], record["completion_tokens"]) == ("completions", 7, 5)


async def test_without_a_limit_a_completion_has_openais_sixteen_tokens(house: House) -> None:
    await house.complete()
    assert house.tgi.seen[0].body["parameters"]["max_new_tokens"] == 16


async def test_a_stream_has_the_text_of_a_whole_answer_token_by_token(client: openai.AsyncOpenAI) -> None:
    stream = await client.completions.create(
        model="support", prompt="Once", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [one.choices[0].text for one in chunks if one.choices] == ["Hello", " wor", "ld", "!", ""]
    assert [one.choices[0].finish_reason for one in chunks if one.choices] == [None] * 4 + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12
    assert {one.object for one in chunks} == {"text_completion"}


async def test_several_prompts_have_choices_prompt_by_prompt(
    house: House, client: openai.AsyncOpenAI
) -> None:
    answer = await client.completions.create(model="support", prompt=["One", "Two"], n=2, echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in answer.choices] == ["OneHello world!"] * 2 + ["TwoHello world!"] * 2
    assert sorted(seen.body["inputs"] for seen in house.tgi.seen) == ["One", "One", "Two", "Two"]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (14, 20)


async def test_an_echo_comes_first_in_a_stream_too(client: openai.AsyncOpenAI) -> None:
    stream = await client.completions.create(model="support", prompt=["One", "Two"], echo=True, stream=True)
    texts = {0: "", 1: ""}
    async for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == {0: "OneHello world!", 1: "TwoHello world!"}


async def test_log_probabilities_have_the_older_form(house: House, client: openai.AsyncOpenAI) -> None:
    await house.redeploy(backends=[{"kind": "tgi", "url": house.tgi.url, "features": ["top_logprobs"]}])
    house.tgi.script = Script(tokens=["Hello", " ", "Welt ä", "!"], top=TOP)
    whole = await client.completions.create(model="support", prompt="Once", logprobs=2)
    told = whole.choices[0].logprobs
    assert told is not None
    assert told.tokens == ["Hello", " ", "Welt ä", "!"]
    assert told.token_logprobs == [-0.5] * 4
    assert told.text_offset == [0, 5, 6, 12]
    assert told.top_logprobs is not None
    assert told.top_logprobs[1] == {"Hello": -0.5, "Hi": -1.5, " ": -0.5}
    assert house.tgi.seen[0].body["parameters"]["top_n_tokens"] == 2
    stream = await client.completions.create(model="support", prompt="Once", logprobs=2, stream=True)
    parts = [chunk.choices[0].logprobs async for chunk in stream if chunk.choices[0].logprobs]
    assert [part.text_offset for part in parts] == [[0], [5], [6], [12]]
    assert [part.tokens for part in parts] == [["Hello"], [" "], ["Welt ä"], ["!"]]


async def test_zero_log_probabilities_still_tell_the_chosen_tokens(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="support", prompt="Once", logprobs=0)
    assert answer.choices[0].logprobs is not None
    assert answer.choices[0].logprobs.token_logprobs == [-0.5] * 4


async def test_the_likeliest_of_several_are_returned_and_all_are_paid(house: House) -> None:
    house.tgi.next_scripts = [
        Script(tokens=["bad"], logprob=-3.0),
        Script(tokens=["best"], logprob=-0.1),
        Script(tokens=["good"], logprob=-0.4),
    ]
    body = (await house.complete(best_of=3, n=2)).json()
    assert [choice["text"] for choice in body["choices"]] == ["best", "good"]
    assert [choice["logprobs"] for choice in body["choices"]] == [None, None]
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}
    (record,) = await house.records(1)
    assert record["completion_tokens"] == 6


async def test_a_gap_is_filled_where_the_deployment_says_how(house: House) -> None:
    refused = await house.complete(suffix=" the end")
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, "suffix", "unsupported_parameter")
    await house.redeploy(fim_template={"prefix": "<PRE>", "suffix": "<SUF>", "middle": "<MID>"})
    assert (await house.complete(suffix=" the end")).status_code == 200
    assert house.tgi.seen[0].body["inputs"] == "<PRE>Once<SUF> the end<MID>"


async def test_a_stop_sequence_ends_a_completion_and_is_left_out(house: House) -> None:
    house.tgi.script = Script(tokens=["One", " E", "ND"], finish="stop_sequence")
    choice = (await house.complete(stop=["END"])).json()["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("One ", "stop")


async def test_a_prompt_that_does_not_fit_is_named_as_the_prompt(house: House) -> None:
    house.tgi.script.prompt_tokens = 3000
    error = (await house.complete(prompt="word " * 3000)).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    assert "your prompt resulted in 3000 tokens" in error["message"]
