"""Every bad parameter of a text completion is refused by name."""

from typing import Any

from tests.inference.gateway.house import House

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": None}, "prompt", "missing_required_parameter"),
    ({"prompt": ""}, "prompt", "invalid_value"),
    ({"prompt": []}, "prompt", "invalid_value"),
    ({"prompt": ["a", ""]}, "prompt", "invalid_value"),
    ({"prompt": 7}, "prompt", "invalid_type"),
    ({"prompt": {"a": 1}}, "prompt", "invalid_type"),
    ({"prompt": ["a", None]}, "prompt[1]", "invalid_type"),
    ({"prompt": ["a", 7]}, "prompt[1]", "invalid_type"),
    ({"prompt": [1, 2, 3]}, "prompt", "unsupported_parameter"),
    ({"prompt": [[1, 2], [3]]}, "prompt", "unsupported_parameter"),
    ({"prompt": "a\0b"}, "prompt", "invalid_value"),
    ({"prompt": ["a"] * 129}, "prompt", "invalid_value"),
    ({"model": None}, "model", "missing_required_parameter"),
    ({"model": ""}, "model", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
    ({"max_completion_tokens": 5}, "max_completion_tokens", "unknown_parameter"),
    ({"messages": []}, "messages", "unknown_parameter"),
    ({"temperature": 2.1}, "temperature", "invalid_value"),
    ({"top_p": -0.1}, "top_p", "invalid_value"),
    ({"n": 0}, "n", "invalid_value"),
    ({"n": 129}, "n", "invalid_value"),
    ({"best_of": 0}, "best_of", "invalid_value"),
    ({"best_of": 21}, "best_of", "invalid_value"),
    ({"n": 3, "best_of": 2}, "best_of", "invalid_value"),
    ({"best_of": 2, "stream": True}, "best_of", "invalid_value"),
    ({"prompt": ["a"] * 10, "best_of": 20}, "prompt", "invalid_value"),
    ({"logprobs": 6}, "logprobs", "invalid_value"),
    ({"logprobs": -1}, "logprobs", "invalid_value"),
    ({"logprobs": True}, "logprobs", "invalid_type"),
    ({"logprobs": 2}, "logprobs", "unsupported_parameter"),
    ({"logprobs": 0, "echo": True}, "echo", "unsupported_parameter"),
    ({"echo": "yes"}, "echo", "invalid_type"),
    ({"suffix": 7}, "suffix", "invalid_type"),
    ({"suffix": "x"}, "suffix", "unsupported_parameter"),
    ({"suffix": "x", "echo": True}, "echo", "invalid_value"),
    ({"presence_penalty": 0.5}, "presence_penalty", "unsupported_parameter"),
    ({"frequency_penalty": -3}, "frequency_penalty", "invalid_value"),
    ({"logit_bias": {"5": 1}}, "logit_bias", "unsupported_parameter"),
    ({"seed": "x"}, "seed", "invalid_type"),
    ({"stop": ["a"] * 5}, "stop", "invalid_value"),
    ({"stream": 1}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"user": 5}, "user", "invalid_type"),
    ({"colour": "red"}, "colour", "unknown_parameter"),
]

NEUTRAL: list[dict[str, Any]] = [
    {"n": 1, "best_of": 1, "echo": False, "suffix": None, "logprobs": None, "logit_bias": {}},
    {"presence_penalty": 0, "frequency_penalty": 0, "temperature": 0, "top_p": 1, "stop": None},
    {"suffix": "", "user": "u", "stream": False, "stream_options": None, "max_tokens": None},
]


async def test_every_bad_parameter_is_refused_by_name_and_never_reaches_the_model(house: House) -> None:
    for changes, param, code in BAD:
        response = await house.complete(**changes)
        error = response.json()["error"]
        assert (response.status_code, error["param"], error["code"]) == (400, param, code), (changes, error)
        assert error["type"] == "invalid_request_error"
        assert error["message"]
    assert house.tgi.seen == []
    assert await house.records(0) == []


async def test_parameters_that_ask_for_nothing_special_are_accepted(house: House) -> None:
    for changes in NEUTRAL:
        response = await house.complete(**changes)
        assert response.status_code == 200, (changes, response.json())


async def test_only_posts_are_answered(house: House) -> None:
    wrong = await house.client.get("/v1/completions", headers=house.tenant.headers)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
