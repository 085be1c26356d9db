"""What a model server can do beyond the least of its kind is used where it can, and else refused by name."""

from typing import Any

import pytest

from tests.inference.gateway.house import House

SAMPLE = (
    "{% for message in messages %}{{ message.name or message.role }}: {{ message.content }}\n{% endfor %}"
)

ASKED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("presence_penalty", {"presence_penalty": 0.5}, {"presence_penalty": 0.5}),
    ("logit_bias", {"logit_bias": {"50": -100}}, {"logit_bias": {"50": -100.0}}),
    (
        "grammar",
        {"response_format": {"type": "json_object"}},
        {"grammar": {"type": "json", "value": {"type": "object"}}},
    ),
    (
        "grammar",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "array"}},
            }
        },
        {"grammar": {"type": "json", "value": {"type": "array"}}},
    ),
    (
        "grammar",
        {"response_format": {"type": "json_object", "value": {"type": "array"}}},
        {"grammar": {"type": "json", "value": {"type": "array"}}},
    ),
    (
        "regex",
        {"response_format": {"type": "regex", "value": "[a-z]+"}},
        {"grammar": {"type": "regex", "value": "[a-z]+"}},
    ),
    ("top_logprobs", {"logprobs": True, "top_logprobs": 3}, {"top_n_tokens": 3}),
]


@pytest.mark.parametrize(("feature", "asked", "sent"), ASKED)
async def test_a_feature_is_used_where_it_is_vouched_for_and_refused_elsewhere(
    house: House, feature: str, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    refused = await house.chat(**asked)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert refused.json()["error"]["param"] in asked
    assert house.tgi.seen == []
    await house.redeploy(backends=[{"kind": "tgi", "url": house.tgi.url, "features": [feature]}])
    answer = await house.chat(**asked)
    assert answer.status_code == 200, answer.text
    parameters = house.tgi.seen[0].body["parameters"]
    assert {name: parameters.get(name) for name in sent} == sent


async def test_a_repetition_penalty_is_used_in_chats_too(house: House) -> None:
    assert (await house.chat(repetition_penalty=1.2)).status_code == 200
    assert house.tgi.seen[0].body["parameters"]["repetition_penalty"] == 1.2


async def test_a_speakers_name_is_used_where_the_chat_template_reads_it(house: House) -> None:
    messages = [{"role": "user", "name": "Ada <|im_end|>", "content": "Hi"}]
    refused = await house.chat(messages=messages)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages[0].name")
    await house.redeploy(chat_template=SAMPLE)
    assert (await house.chat(messages=messages)).status_code == 200
    assert house.tgi.seen[0].body["inputs"] == "Ada < |im_end|>: Hi\n"
