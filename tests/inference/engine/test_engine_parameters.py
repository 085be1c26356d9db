"""Which parameters are honoured, refused, and how they are put to llama.cpp."""

from typing import Any

import pytest

from inference.engine.faults import InvalidInput
from inference.engine.parameters import Parameters, chosen_seed, llama_request, read
from inference.engine.settings import Limits

LIMITS = Limits()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"temperature": 0}, "`temperature`"),
        ({"temperature": "hot"}, "`temperature`"),
        ({"top_p": 1.5}, "`top_p`"),
        ({"top_p": 0}, "`top_p`"),
        ({"typical_p": 2}, "`typical_p`"),
        ({"top_k": 0}, "`top_k`"),
        ({"top_k": -1}, "`top_k`"),
        ({"repetition_penalty": 0}, "`repetition_penalty`"),
        ({"frequency_penalty": 3}, "`frequency_penalty`"),
        ({"max_new_tokens": 0}, "`max_new_tokens`"),
        ({"max_new_tokens": 1.5}, "`max_new_tokens`"),
        ({"max_new_tokens": True}, "`max_new_tokens`"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"stop": "one"}, "`stop`"),
        ({"stop": [""]}, "`stop`"),
        ({"truncate": 0}, "`truncate`"),
        ({"watermark": True}, "`watermark`"),
        ({"decoder_input_details": True}, "`decoder_input_details`"),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"best_of": 3}, "`best_of` must be > 0 and <= 2. Given: 3"),
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        ({"best_of": 2, "do_sample": True, "seed": 1}, "`seed` must not be set"),
        ({"grammar": {"type": "yaml", "value": "x"}}, "`grammar`"),
        ({"grammar": {"type": "regex", "value": 5}}, "`grammar.value`"),
        ({"grammar": {"type": "json", "value": "{"}}, "grammar is not valid"),
        ({"min_p": 0.1}, "`min_p` is not a parameter"),
        ([], "`parameters` must be an object"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(given: Any, named: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(given, LIMITS)
    assert named in str(refusal.value)
    assert str(refusal.value).startswith("Input validation error: ")


def test_every_sampling_parameter_reaches_llama_cpp() -> None:
    given = read(
        {
            "temperature": 0.5,
            "top_k": 7,
            "top_p": 0.9,
            "typical_p": 0.8,
            "repetition_penalty": 1.1,
            "frequency_penalty": 0.2,
            "seed": 9,
            "top_n_tokens": 3,
        },
        LIMITS,
    )
    request = llama_request(given, [1, 2], 5, 100)
    wanted: dict[str, Any] = {
        "temperature": 0.5,
        "top_k": 7,
        "top_p": 0.9,
        "typical_p": 0.8,
        "repeat_penalty": 1.1,
    }
    wanted |= {"frequency_penalty": 0.2, "seed": 9, "n_probs": 3, "prompt": [1, 2], "n_predict": 5}
    assert wanted.items() <= request.items()


def test_without_a_wish_to_sample_generation_is_greedy() -> None:
    request = llama_request(read({"seed": 4}, LIMITS), [1], 5, 100)
    assert request["temperature"] == 0.0
    assert chosen_seed(Parameters()) is None


@pytest.mark.parametrize("given", [{"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.5}, {"do_sample": True}])
def test_anything_that_shapes_sampling_turns_it_on(given: dict[str, Any]) -> None:
    parameters = read(given, LIMITS)
    assert parameters.sampling
    assert chosen_seed(parameters) is not None


def test_a_json_schema_may_come_as_text_object_or_wrapped() -> None:
    schema = {"type": "integer"}
    forms: list[dict[str, Any]] = [
        {"type": "json", "value": schema},
        {"type": "json", "value": '{"type": "integer"}'},
        {"type": "json_schema", "value": {"name": "n", "schema": schema}},
    ]
    read_back = [read({"grammar": form}, LIMITS).grammar for form in forms]
    assert [grammar.value for grammar in read_back if grammar] == [schema] * 3


def test_a_regex_cannot_leave_its_place_in_the_grammar() -> None:
    grammar = read({"grammar": {"type": "regex", "value": 'a/b\\/c\nstart: "x"'}}, LIMITS).grammar
    assert grammar is not None
    assert grammar.lark() == '%llguidance {}\nstart: /a\\/b\\/c\\nstart: "x"/\n'
