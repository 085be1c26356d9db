"""What is learned is what the assistant said and the end of its turn, exactly."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.recipes.chat import ChatEncoder, TemplateUnsupported, encode_rows
from training.recipes.faults import Refused
from training.recipes.rows import Message, Row

CONTROLS = [
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<|im_start|>assistant\n",
    "\n",
    " ",
    "\ue0000\ue001",
]
contents = st.lists(
    st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(CONTROLS))
).map("".join)
messages = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), contents, st.sampled_from([0, 1])),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="session")
def encoder(tokenizer: Any) -> ChatEncoder:
    return ChatEncoder(tokenizer)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(turns=messages)
def test_the_learned_tokens_are_the_assistants_words_and_ends_of_turn(
    turns: list[Message], encoder: ChatEncoder, tokenizer: Any
) -> None:
    row = encoder.encode(Row(1, tuple(turns)))
    learned = [token for token, trained in zip(row.token_ids, row.trained, strict=True) if trained]
    said = [turn.content for turn in turns if turn.trained]
    assert tokenizer.decode(learned) == "".join(content + "<|im_end|>" for content in said)
    assert learned.count(tokenizer.eos_token_id) == len(said)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(turns=messages)
def test_the_whole_row_is_the_rendered_conversation_and_contents_bring_no_control_token(
    turns: list[Message], encoder: ChatEncoder, tokenizer: Any
) -> None:
    row = encoder.encode(Row(1, tuple(turns)))
    chat = [{"role": turn.role, "content": turn.content} for turn in turns]
    assert tokenizer.decode(row.token_ids) == tokenizer.apply_chat_template(chat, tokenize=False)
    headers = len(turns) + (turns[0].role != "system")
    assert row.token_ids.count(tokenizer.bos_token_id) == headers
    assert row.token_ids.count(tokenizer.eos_token_id) == headers
    assert 0 not in row.token_ids


def test_ordinary_conversations_get_the_tokens_that_the_engine_makes(
    encoder: ChatEncoder, tokenizer: Any
) -> None:
    turns = (Message("user", "\nA banana and an apple?"), Message("assistant", "Yes, an apple."))
    chat = [{"role": turn.role, "content": turn.content} for turn in turns]
    whole = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False), add_special_tokens=False).input_ids
    assert list(encoder.encode(Row(1, turns)).token_ids) == whole


def test_an_answer_begins_where_generation_begins(encoder: ChatEncoder, tokenizer: Any) -> None:
    row = encoder.encode(Row(1, (Message("user", "x"), Message("assistant", "\n\nan"))))
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], add_generation_prompt=True)[
        "input_ids"
    ]
    assert list(row.token_ids[: len(prompt)]) == list(prompt)
    assert not any(row.trained[: len(prompt)])
    assert row.trained[len(prompt)]


def test_a_template_that_trims_contents_is_followed(tokenizer: Any) -> None:
    trimming = encoder_with(tokenizer, tokenizer.chat_template.replace("['content']", "['content'] | trim"))
    row = trimming.encode(Row(1, (Message("user", " x "), Message("assistant", " yes \n"))))
    learned = [token for token, trained in zip(row.token_ids, row.trained, strict=True) if trained]
    assert tokenizer.decode(learned) == "yes<|im_end|>"


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m['content'] | upper }}<|im_end|>{% endfor %}",
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}",
        "{{ messages[-1]['content'] }}<|im_end|>",
    ],
)
def test_templates_that_rewrite_drop_or_do_not_end_turns_are_refused(tokenizer: Any, template: str) -> None:
    with pytest.raises(TemplateUnsupported):
        encoder_with(tokenizer, template).encode(Row(1, (Message("user", "x"), Message("assistant", "y"))))


def test_rows_too_long_are_all_named_and_none_is_cut(encoder: ChatEncoder) -> None:
    rows = [Row(n, (Message("user", "x" * n), Message("assistant", "y"))) for n in (1, 90, 2, 95)]
    with pytest.raises(Refused, match=r"2 rows \(90, 95\)") as caught:
        encode_rows(rows, encoder, max_tokens=100)
    assert (caught.value.code, caught.value.rows) == ("row_too_long", (90, 95))


def test_a_row_of_exactly_max_tokens_is_accepted(encoder: ChatEncoder) -> None:
    row = Row(1, (Message("user", "x"), Message("assistant", "y")))
    size = len(encoder.encode(row).token_ids)
    assert encode_rows([row], encoder, max_tokens=size)
    with pytest.raises(Refused):
        encode_rows([row], encoder, max_tokens=size - 1)


def test_rows_with_nothing_to_learn_are_refused(encoder: ChatEncoder) -> None:
    rows = [
        Row(1, (Message("user", "x"), Message("assistant", "y"))),
        Row(2, (Message("user", "x"), Message("assistant", "y", 0))),
        Row(3, (Message("user", "x"),)),
    ]
    with pytest.raises(Refused) as caught:
        encode_rows(rows, encoder, max_tokens=100)
    assert (caught.value.code, caught.value.rows) == ("row_without_training", (2, 3))


def encoder_with(tokenizer: Any, template: str) -> ChatEncoder:
    class Retemplated:
        backend_tokenizer = tokenizer.backend_tokenizer
        added_tokens_decoder = tokenizer.added_tokens_decoder

        def apply_chat_template(self, turns: Any, **options: Any) -> Any:
            return tokenizer.apply_chat_template(turns, chat_template=template, **options)

    return ChatEncoder(Retemplated())
