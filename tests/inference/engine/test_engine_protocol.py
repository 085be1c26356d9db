"""A real pod speaks TGI: the native routes, their clients, and their faults."""

import json

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import ValidationError

from tests.inference.engine.pods import KEY, RunningPod

EMOJI = "<|im_start|>user\nReply with a smiling emoji 😀 and a rare one 🦖<|im_end|>\n<|im_start|>assistant\n"
FRANCE = "The capital of France is"


def test_a_stream_tells_the_same_text_as_one_answer(pod: RunningPod) -> None:
    for inputs in (FRANCE, EMOJI):
        whole = pod.generate(inputs, max_new_tokens=40, details=True)
        events = pod.stream(inputs, max_new_tokens=40)
        joined = "".join(event["token"]["text"] for event in events if not event["token"]["special"])
        assert joined == events[-1]["generated_text"] == whole["generated_text"]
        assert [e["token"]["id"] for e in events] == [t["id"] for t in whole["details"]["tokens"]]
        assert [e["index"] for e in events] == list(range(1, len(events) + 1))
        assert events[-1]["details"]["generated_tokens"] == len(events)
        assert all(event["details"] is None for event in events[:-1])


def test_a_character_cut_by_the_limit_is_left_out_and_its_tokens_are_counted(pod: RunningPod) -> None:
    answer = pod.generate(EMOJI, max_new_tokens=5, details=True)
    assert "\ufffd" not in answer["generated_text"]
    assert answer["details"]["generated_tokens"] == len(answer["details"]["tokens"]) == 5


def test_generated_ids_are_those_of_the_tokenizer(pod: RunningPod) -> None:
    answer = pod.generate(EMOJI, max_new_tokens=6, details=True)
    ids = [token["id"] for token in answer["details"]["tokens"]]
    places = pod.client.post("/tokenize", json={"inputs": answer["generated_text"]}).json()
    assert [place["id"] for place in places] == ids


def test_each_reason_to_finish_is_told(pod: RunningPod) -> None:
    long = pod.generate(FRANCE, max_new_tokens=3, details=True)["details"]
    stopped = pod.generate(FRANCE, max_new_tokens=40, details=True, stop=["aris"])
    ended = pod.generate("<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n", details=True)
    assert long["finish_reason"] == "length"
    assert stopped["details"]["finish_reason"] == "stop_sequence"
    assert stopped["generated_text"] == " Paris"
    assert ended["details"]["finish_reason"] == "eos_token"
    assert ended["details"]["tokens"][-1] == ended["details"]["tokens"][-1] | {
        "text": "<|im_end|>",
        "special": True,
    }
    assert "<|im_end|>" not in ended["generated_text"]


def test_what_does_not_fit_the_context_is_refused_with_the_numbers(pod: RunningPod) -> None:
    total = pod.client.get("/info").json()["max_total_tokens"]
    assert pod.refused("a", max_new_tokens=total) == (
        422,
        f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {total}. "
        f"Given: 1 `inputs` tokens and {total} `max_new_tokens`",
    )
    status, message = pod.refused("word " * total, max_new_tokens=1)
    assert (status, message.split(". ")[0]) == (
        422,
        f"Input validation error: `inputs` must have less than {total} tokens",
    )


def test_truncate_keeps_the_last_tokens(pod: RunningPod) -> None:
    short = pod.generate(" France is", max_new_tokens=5, details=True)
    cut = pod.generate("x y z France is", max_new_tokens=5, truncate=2, details=True)
    assert cut["details"]["input_length"] == 2
    assert cut["generated_text"] == short["generated_text"]


def test_a_seed_makes_sampling_repeatable(pod: RunningPod) -> None:
    answers = [pod.generate(FRANCE, max_new_tokens=12, seed=s, temperature=1.5) for s in (5, 5, 6, 7)]
    texts = [answer["generated_text"] for answer in answers]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_best_of_returns_the_likelier_of_two(pod: RunningPod) -> None:
    details = pod.generate(FRANCE, max_new_tokens=6, best_of=2, temperature=1.5, details=True)["details"]
    (other,) = details["best_of_sequences"]
    means = [sum(t["logprob"] for t in s["tokens"]) / 6 for s in (details, other)]
    assert means[0] >= means[1]


def test_grammars_bind_the_output_and_broken_ones_are_refused(pod: RunningPod) -> None:
    schema: dict[str, object] = {"type": "object", "required": ["city"]}
    schema["properties"] = {"city": {"enum": ["Rome", "Oslo"]}}
    schema["additionalProperties"] = False
    as_json = pod.generate("The city, as JSON:", grammar={"type": "json", "value": schema}, max_new_tokens=40)
    as_text = pod.generate("Yes or no?", grammar={"type": "regex", "value": "(yes|no)/[0-9]{3}"})
    assert json.loads(as_json["generated_text"])["city"] in ("Rome", "Oslo")
    assert as_text["generated_text"][-4] == "/"
    for broken in ({"type": "regex", "value": "(yes"}, {"type": "json", "value": {"type": "objeckt"}}):
        status, message = pod.refused("x", grammar=broken)
        assert (status, "grammar is not valid" in message) == (422, True)


def test_top_tokens_hold_the_chosen_one_when_greedy(pod: RunningPod) -> None:
    details = pod.generate(FRANCE, max_new_tokens=4, details=True, top_n_tokens=3)["details"]
    for token, top in zip(details["tokens"], details["top_tokens"], strict=True):
        assert len(top) == 3
        assert top[0] == token


def test_a_stream_answers_200_and_tells_its_fault_as_the_first_event(pod: RunningPod) -> None:
    (event,) = pod.stream("a", max_new_tokens=0)
    assert event == {
        "error": "Input validation error: `max_new_tokens` must be strictly positive",
        "error_type": "validation",
    }


def test_the_root_answers_a_list_or_a_stream(pod: RunningPod) -> None:
    body = {"inputs": FRANCE, "parameters": {"max_new_tokens": 2}}
    (answer,) = pod.client.post("/", json=body).json()
    streamed = pod.client.post("/", json=body | {"stream": True}).text
    assert f'"generated_text":"{answer["generated_text"]}"' in streamed


def test_only_the_holder_of_the_key_generates(pod: RunningPod) -> None:
    with httpx.Client(base_url=pod.url) as stranger:
        for key in ("", "Bearer wrong", f"Bearer {KEY.upper()}", KEY):
            answer = stranger.post("/generate", json={"inputs": "a"}, headers={"authorization": key})
            assert answer.status_code == 401
        assert stranger.get("/adapters").status_code == 401
        assert [stranger.get(path).status_code for path in ("/health", "/info", "/metrics")] == [200] * 3


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/generate", b"{", 400),
        ("POST", "/generate", b"[]", 400),
        ("POST", "/generate", b"{}", 422),
        ("POST", "/generate", b'{"inputs": ""}', 422),
        ("POST", "/generate", b'{"inputs": "a", "stop": ["b"]}', 422),
        ("POST", "/generate", b'{"inputs": "' + b"a" * (3 << 20) + b'"}', 413),
        ("GET", "/generate", b"", 405),
        ("GET", "/nowhere", b"", 404),
    ],
)
def test_what_cannot_be_read_is_refused(
    pod: RunningPod, method: str, path: str, body: bytes, status: int
) -> None:
    answer = pod.client.request(method, path, content=body)
    assert answer.status_code == status
    assert {"error", "error_type"} <= answer.json().keys()


def test_the_hub_client_works_unmodified(pod: RunningPod) -> None:
    client = InferenceClient(model=pod.url, token=KEY)
    whole = client.text_generation(FRANCE, max_new_tokens=8, details=True)
    events = list(client.text_generation(FRANCE, max_new_tokens=8, details=True, stream=True))
    assert whole.generated_text == events[-1].generated_text
    assert whole.details is not None
    assert whole.details.generated_tokens == len(events) == 8
    with pytest.raises(ValidationError):
        client.text_generation(FRANCE, max_new_tokens=100_000)
    chat = client.chat_completion([{"role": "user", "content": "Say hi"}], max_tokens=5, temperature=0)
    chunks = client.chat_completion(
        [{"role": "user", "content": "Say hi"}], max_tokens=5, temperature=0, stream=True
    )
    assert chat.choices[0].message.content == "".join(c.choices[0].delta.content or "" for c in chunks)


def test_chat_renders_the_template_of_the_base(pod: RunningPod) -> None:
    body = {"messages": [{"role": "user", "content": "Say hi"}]}
    templated = pod.client.post("/chat_tokenize", json=body).json()
    assert templated["templated_text"].endswith("<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n")
    answer = pod.client.post("/v1/chat/completions", json=body | {"max_tokens": 3, "temperature": 0}).json()
    native = pod.generate(templated["templated_text"], max_new_tokens=3)
    assert answer["choices"][0]["message"]["content"] == native["generated_text"]
    assert answer["usage"]["prompt_tokens"] == len(templated["tokenize_response"])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n": 2}, "`n`"),
        ({"tools": [{"type": "function"}]}, "`tools`"),
        ({"logit_bias": {"1": 5}}, "`logit_bias`"),
        ({"top_logprobs": 2}, "`top_logprobs`"),
        ({"messages": []}, "`messages`"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "reads text only"),
        ({"model": "gpt-5"}, "adapter_id `gpt-5`"),
        ({"response_format": {"type": "xml"}}, "`grammar`"),
    ],
)
def test_what_a_chat_cannot_honour_is_refused_by_name(
    pod: RunningPod, changes: dict[str, object], named: str
) -> None:
    body = {"messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 2} | changes
    answer = pod.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 422
    assert named in answer.json()["error"]
