"""How each flavour of OpenAI-compatible server wants a generation to be asked for.

A server's flavour is one of its features; without one it is held to OpenAI's published words.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from inference.backends.faults import Refused, UnknownAdapter
from inference.backends.interface import BackendAddress, ForwardedCall, GenerationCall

_SEEDS = 2**63 - 1
Words = dict[str, object]
_PUBLISHED_WORDS = {"presence_penalty": "presence_penalty", "logit_bias": "logit_bias"}
_VLLM_WORDS = {
    **_PUBLISHED_WORDS,
    "repetition_penalty": "repetition_penalty",
    "top_k": "top_k",
    "truncate": "truncate_prompt_tokens",
}
_SGLANG_WORDS = {**_PUBLISHED_WORDS, "repetition_penalty": "repetition_penalty", "top_k": "top_k"}
_LLAMACPP_WORDS = {
    **_PUBLISHED_WORDS,
    "repetition_penalty": "repeat_penalty",
    "top_k": "top_k",
    "typical_p": "typical_p",
}
_TGI_WORDS = {"repetition_penalty": "repetition_penalty"}


def _vllm_constraint(call: GenerationCall) -> Words:
    wish: Words = {"regex": call.regex} if call.regex is not None else {"json": call.json_schema}
    return {"structured_outputs": wish}


def _vllm_guided_constraint(call: GenerationCall) -> Words:
    return {"guided_regex": call.regex} if call.regex is not None else {"guided_json": call.json_schema}


def _sglang_constraint(call: GenerationCall) -> Words:
    if call.regex is not None:
        return {"regex": call.regex}
    return {"json_schema": orjson.dumps(call.json_schema).decode()}


def _llamacpp_constraint(call: GenerationCall) -> Words:
    if call.regex is not None:
        raise Refused("This model server cannot constrain an answer by a regular expression.")
    return {"json_schema": call.json_schema}


def _published_constraint(call: GenerationCall) -> Words:
    if call.regex is not None:
        raise Refused("This model server cannot constrain an answer by a regular expression.")
    schema = {"name": "answer", "schema": call.json_schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _own_name(base: str, adapter: str) -> str:
    return adapter


def _no_adapters(base: str, adapter: str) -> str:
    raise UnknownAdapter("This model server chooses no adapter by name.", retry_after_seconds=60)


@dataclass(frozen=True)
class Dialect:
    """What a flavour understands.

    `constraint` words a schema or a pattern; `adapter_name` names an adapter, given the base's name.
    `running_usage`: each chunk can tell the tokens so far. `prompt_word`: the name of the prompt in a request
    to `/tokenize`, None without such a route. `names_model`: answers name the model that was asked for.
    `words`: what it calls the parameters of a call that not every server has.
    """

    constraint: Callable[[GenerationCall], Words] = _published_constraint
    adapter_name: Callable[[str, str], str] = _own_name
    running_usage: bool = False
    prompt_word: str | None = None
    names_model: bool = True
    base_name: str | None = None
    words: Mapping[str, str] = field(default_factory=lambda: _PUBLISHED_WORDS)


DIALECTS: Mapping[str, Dialect] = {
    "vllm": Dialect(constraint=_vllm_constraint, running_usage=True, prompt_word="prompt", words=_VLLM_WORDS),
    # Before 0.12 its constraints had other names.
    "vllm-guided": Dialect(
        constraint=_vllm_guided_constraint, running_usage=True, prompt_word="prompt", words=_VLLM_WORDS
    ),
    "sglang": Dialect(
        constraint=_sglang_constraint,
        adapter_name=lambda base, adapter: f"{base}:{adapter}",
        running_usage=True,
        prompt_word="prompt",
        words=_SGLANG_WORDS,
    ),
    "llama.cpp": Dialect(
        constraint=_llamacpp_constraint,
        adapter_name=_no_adapters,
        prompt_word="content",
        words=_LLAMACPP_WORDS,
    ),
    # Takes any name but its own for an adapter's, and answers under the base's in any case.
    "tgi": Dialect(prompt_word="inputs", names_model=False, base_name="tgi", words=_TGI_WORDS),
}
_PUBLISHED = Dialect()


def dialect_of(address: BackendAddress) -> Dialect:
    """The dialect among a server's features; OpenAI's own without one."""
    return next((DIALECTS[one] for one in sorted(address.features) if one in DIALECTS), _PUBLISHED)


def abilities_of(address: BackendAddress) -> frozenset[str]:
    """The parameters for which its flavour has words."""
    return frozenset(dialect_of(address).words)


def model_name(call: GenerationCall | ForwardedCall, address: BackendAddress, dialect: Dialect) -> str:
    """What to call the model on that server. Raises `UnknownAdapter` where adapters have no names."""
    base = dialect.base_name or address.served_name or call.served_as or ""
    return base if call.adapter_id is None else dialect.adapter_name(base, call.adapter_id)


def request_of(call: GenerationCall, address: BackendAddress, dialect: Dialect) -> Words:
    """The body for `/v1/completions`. What is at its neutral value is left out. Raises `Refused`."""
    greedy = call.temperature == 0 or call.top_p == 0
    usage: Words = {"include_usage": True}
    if dialect.running_usage:
        usage["continuous_usage_stats"] = True
    request: Words = {
        "model": model_name(call, address, dialect),
        "prompt": call.prompt,
        "max_tokens": call.max_new_tokens,
        "stream": True,
        "stream_options": usage,
        "temperature": 0.0 if greedy else call.temperature,
    }
    request.update(_steering(call, greedy=greedy))
    for name, value in _not_everywhere(call):
        if name not in dialect.words:
            raise Refused(f"This model server does not take {name!r}.")
        request[dialect.words[name]] = value
    if call.json_schema is not None or call.regex is not None:
        request.update(dialect.constraint(call))
    return request


def _steering(call: GenerationCall, *, greedy: bool) -> Iterator[tuple[str, object]]:
    """What every server has words for, as far as it is asked for."""
    if not greedy and call.top_p < 1:
        yield "top_p", call.top_p
    if call.frequency_penalty:
        yield "frequency_penalty", call.frequency_penalty
    if call.seed is not None:
        # Not every server takes a negative seed.
        yield "seed", call.seed % _SEEDS
    if call.stop:
        yield "stop", call.stop
    if call.logprobs:
        yield "logprobs", max(1, call.top_logprobs)
    if call.cache_salt is not None:
        yield "cache_salt", call.cache_salt


def _not_everywhere(call: GenerationCall) -> Iterator[tuple[str, object]]:
    """What is asked for that not every server has."""
    if call.presence_penalty:
        yield "presence_penalty", call.presence_penalty
    if call.logit_bias:
        yield "logit_bias", {str(one): bias for one, bias in call.logit_bias.items()}
    if call.repetition_penalty != 1:
        yield "repetition_penalty", call.repetition_penalty
    if call.top_k:
        yield "top_k", call.top_k
    if call.typical_p < 1:
        yield "typical_p", call.typical_p
    if call.truncate is not None:
        yield "truncate", call.truncate
    if call.watermark:
        yield "watermark", True
