"""A deployment's policy as the control plane writes it, read strictly into a frozen object."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

import orjson

from inference.gateway.faults import InvalidValue
from inference.gateway.policy.pii import KINDS
from inference.gateway.policy.prompting import PinnedPrompt, read_pinned
from inference.gateway.policy.words import WordList
from inference.gateway.requests import checks
from inference.gateway.requests.checks import Read
from inference.gateway.requests.parameters import MAX_ANSWERS, MAX_TOKENS, schema

Action = Literal["off", "flag", "redact", "block"]
ACTIONS: tuple[Action, ...] = ("off", "flag", "redact", "block")
ATTACK_ACTIONS: tuple[Action, ...] = ("off", "flag", "block")
MAX_SYSTEM_PROMPT_CHARACTERS = 32_000
MAX_WORDS = 500
MAX_WORD_CHARACTERS = 100
# Those whose numbers can be bounded, with what they can be at all, and those that can only be allowed or not.
BOUNDED: Mapping[str, Read] = {
    "temperature": checks.number(0, 2),
    "top_p": checks.number(0, 1),
    "typical_p": checks.above_zero(1),
    "frequency_penalty": checks.number(-2, 2),
    "presence_penalty": checks.number(-2, 2),
    "repetition_penalty": checks.above_zero(100),
    "n": checks.integer(1, MAX_ANSWERS),
    "best_of": checks.integer(1, MAX_ANSWERS),
}
PLAIN = (
    *("seed", "stop", "top_k", "logit_bias", "logprobs", "tools", "response_format", "suffix", "echo"),
    "watermark",
)


@dataclass(frozen=True)
class Bounds:
    """What callers may set a parameter to. With None there is no bound."""

    allowed: bool = True
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Filter:
    """What happens to something that is found in a prompt, and in an answer."""

    prompt: Action = "off"
    answer: Action = "off"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a deployment lets pass. The default lets everything pass.

    `document` is what it was read from, which `digest` names.
    """

    system_prompt: str = ""
    max_answer_tokens: int | None = None
    parameters: Mapping[str, Bounds] = field(default_factory=dict)
    pii: Filter = Filter()
    pii_kinds: frozenset[str] = frozenset(KINDS)
    words: Filter = Filter()
    word_list: WordList | None = None
    attacks: Action = "off"
    output_schema: Mapping[str, object] | None = None
    prompt: PinnedPrompt | None = None
    document: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document in hex; empty where there is no policy."""
        if not self.document:
            return ""
        return hashlib.sha256(orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def guards_answers(self) -> bool:
        """Whether anything is looked for in answers."""
        return (self.pii.answer, self.words.answer) != ("off", "off")

    @property
    def guards_prompts(self) -> bool:
        """Whether anything is looked for in prompts."""
        return (self.pii.prompt, self.words.prompt, self.attacks) != ("off", "off", "off")


OPEN = Policy()


def read_policy(document: object) -> Policy:
    """The policy in this decoded document. Raises an `InvalidRequest` that names the place at fault."""
    fields = checks.mapping(document, "policy")
    if not fields:
        return OPEN
    checks.only(fields, _READERS.keys(), "")
    read: dict[str, Any] = {}
    for name, value in fields.items():
        if value is not None:
            read |= _READERS[name](value, name)
    return Policy(document=dict(fields), **read)


def _choice(value: object, param: str, choices: tuple[str, ...]) -> Action:
    if value not in choices:
        allowed = ", ".join(f"'{one}'" for one in choices)
        raise InvalidValue(f"Invalid value for '{param}'. Supported values are: {allowed}.", param=param)
    return cast(Action, value)


def _system_prompt(value: object, param: str) -> dict[str, Any]:
    return {"system_prompt": checks.short_text(MAX_SYSTEM_PROMPT_CHARACTERS)(value, param)}


def _max_answer_tokens(value: object, param: str) -> dict[str, Any]:
    return {"max_answer_tokens": checks.integer(1, MAX_TOKENS)(value, param)}


def _parameters(value: object, param: str) -> dict[str, Any]:
    given = checks.mapping(value, param)
    checks.only(given, (*BOUNDED, *PLAIN), f"{param}.")
    return {"parameters": {name: _bounds(one, f"{param}.{name}", name) for name, one in given.items()}}


def _bounds(value: object, param: str, name: str) -> Bounds:
    given = checks.mapping(value, param)
    checks.only(given, ("allowed", "minimum", "maximum") if name in BOUNDED else ("allowed",), f"{param}.")
    read: dict[str, Any] = {}
    for bound in ("minimum", "maximum"):
        if given.get(bound) is not None:
            read[bound] = BOUNDED[name](given[bound], f"{param}.{bound}")
    if "allowed" in given:
        read["allowed"] = checks.boolean(given["allowed"], f"{param}.allowed")
    bounds = Bounds(**read)
    if bounds.minimum is not None and bounds.maximum is not None and bounds.minimum > bounds.maximum:
        raise InvalidValue(f"Invalid '{param}': 'minimum' exceeds 'maximum'.", param=f"{param}.minimum")
    return bounds


def _filter(given: Mapping[str, object], param: str) -> Filter:
    sides = {side: given.get(side, "off") for side in ("prompt", "answer")}
    return Filter(**{side: _choice(value, f"{param}.{side}", ACTIONS) for side, value in sides.items()})


def _pii(value: object, param: str) -> dict[str, Any]:
    given = checks.mapping(value, param)
    checks.only(given, ("kinds", "prompt", "answer"), f"{param}.")
    kinds = given.get("kinds", list(KINDS))
    if not isinstance(kinds, list) or not kinds:
        raise checks.wrong_type(kinds, f"{param}.kinds", "an array of at least one kind")
    for place, kind in enumerate(kinds):
        _choice(kind, f"{param}.kinds[{place}]", KINDS)
    return {"pii": _filter(given, param), "pii_kinds": frozenset(kinds)}


def _denied_words(value: object, param: str) -> dict[str, Any]:
    given = checks.mapping(value, param)
    checks.only(given, ("words", "prompt", "answer"), f"{param}.")
    words = given.get("words")
    if not isinstance(words, list) or not 0 < len(words) <= MAX_WORDS:
        raise InvalidValue(
            f"Invalid '{param}.words': expected 1 to {MAX_WORDS} words.", param=f"{param}.words"
        )
    for place, one in enumerate(words):
        where = f"{param}.words[{place}]"
        if not str(checks.short_text(MAX_WORD_CHARACTERS)(one, where)).strip():
            raise InvalidValue(f"Invalid '{where}': it cannot be empty.", param=where)
    return {"words": _filter(given, param), "word_list": WordList(words)}


def _attacks(value: object, param: str) -> dict[str, Any]:
    return {"attacks": _choice(value, param, ATTACK_ACTIONS)}


def _prompt(value: object, param: str) -> dict[str, Any]:
    return {"prompt": read_pinned(value, param)}


def _output_schema(value: object, param: str) -> dict[str, Any]:
    return {"output_schema": schema(value, param)}


_READERS = {
    "system_prompt": _system_prompt,
    "max_answer_tokens": _max_answer_tokens,
    "parameters": _parameters,
    "pii": _pii,
    "denied_words": _denied_words,
    "prompt_attacks": _attacks,
    "output_schema": _output_schema,
    "prompt": _prompt,
}
