"""TGI's generation parameters: read, checked with TGI's sentences, and put into llama.cpp's words."""

import secrets
from dataclasses import dataclass, fields
from typing import Any

from inference.engine import grammar
from inference.engine.faults import InvalidInput
from inference.engine.grammar import Grammar
from inference.engine.settings import Limits


@dataclass(frozen=True)
class Parameters:
    """One request's parameters, each already within its bounds."""

    adapter_id: str | None = None
    best_of: int = 1
    decoder_input_details: bool = False
    details: bool = False
    do_sample: bool = False
    frequency_penalty: float = 0.0
    grammar: Grammar | None = None
    max_new_tokens: int | None = None
    repetition_penalty: float = 1.0
    return_full_text: bool = False
    seed: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float = 1.0
    top_k: int = 0
    top_n_tokens: int = 0
    top_p: float = 1.0
    truncate: int | None = None
    typical_p: float = 1.0
    watermark: bool = False

    @property
    def sampling(self) -> bool:
        """As in TGI: asked for, or implied by anything that would shape the sampling."""
        shaped = self.temperature != 1.0 or self.top_k > 0 or self.top_p < 1.0 or self.typical_p < 1.0
        return self.do_sample or shaped


_INTEGERS = {"best_of", "max_new_tokens", "seed", "top_k", "top_n_tokens", "truncate"}
_NUMBERS = {"frequency_penalty", "repetition_penalty", "temperature", "top_p", "typical_p"}
_SWITCHES = {"decoder_input_details", "details", "do_sample", "return_full_text", "watermark"}
_KNOWN = {field.name for field in fields(Parameters)}


def read(given: object, limits: Limits) -> Parameters:
    """Return the parameters of a `/generate` body; raise `InvalidInput` naming the one at fault."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise InvalidInput("`parameters` must be an object")
    if unknown := sorted(set(given) - _KNOWN):
        raise InvalidInput(f"`{unknown[0]}` is not a parameter of this endpoint")
    present = {name: _typed(name, value) for name, value in given.items() if value is not None}
    parameters = Parameters(**present)
    _check_sampling(parameters)
    _check_bounds(parameters, limits)
    _check_unsupported(parameters, present)
    return parameters


def _typed(name: str, value: Any) -> Any:
    if name in _SWITCHES:
        return _of_type(name, value, bool, "a boolean")
    if name in _INTEGERS:
        return _integer(name, value)
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInput(f"`{name}` must be a number")
        return float(value)
    if name == "stop":
        return _stops(value)
    if name == "grammar":
        return grammar.read(value)
    return _of_type(name, value, str, "a string")


def _of_type(name: str, value: Any, kind: type, words: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidInput(f"`{name}` must be {words}")
    return value


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"`{name}` must be an integer that is not negative")
    return value


def _stops(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InvalidInput("`stop` must be a list of strings that are not empty")
    return tuple(value)


def _check_sampling(given: Parameters) -> None:
    if not given.temperature > 0:
        raise InvalidInput("`temperature` must be strictly positive")
    if not given.repetition_penalty > 0:
        raise InvalidInput("`repetition_penalty` must be strictly positive")
    if not -2.0 <= given.frequency_penalty <= 2.0:
        raise InvalidInput("`frequency_penalty` must be >= -2.0 and <= 2.0")
    for name in ("top_p", "typical_p"):
        # The published schema allows 1.0, TGI's code does not; 1.0 plainly means off.
        if not 0.0 < getattr(given, name) <= 1.0:
            raise InvalidInput(f"`{name}` must be > 0.0 and <= 1.0")


def _check_bounds(given: Parameters, limits: Limits) -> None:
    if given.max_new_tokens == 0:
        raise InvalidInput("`max_new_tokens` must be strictly positive")
    if len(given.stop) > limits.max_stop_sequences:
        count = len(given.stop)
        raise InvalidInput(
            f"`stop` supports up to {limits.max_stop_sequences} stop sequences. Given: {count}"
        )
    if given.top_n_tokens > limits.max_top_n_tokens:
        raise InvalidInput(
            f"`top_n_tokens` must be >= 0 and <= {limits.max_top_n_tokens}. Given: {given.top_n_tokens}"
        )
    _check_best_of(given, limits)


def _check_best_of(given: Parameters, limits: Limits) -> None:
    if not 0 < given.best_of <= limits.max_best_of:
        raise InvalidInput(f"`best_of` must be > 0 and <= {limits.max_best_of}. Given: {given.best_of}")
    if given.best_of > 1 and not given.sampling:
        raise InvalidInput("you must use sampling when `best_of` is > 1")
    if given.best_of > 1 and given.seed is not None:
        raise InvalidInput("`seed` must not be set when `best_of` > 1")


def _check_unsupported(given: Parameters, present: dict[str, Any]) -> None:
    if given.watermark:
        raise InvalidInput("`watermark` is not supported by this engine")
    if given.decoder_input_details:
        raise InvalidInput(
            "`decoder_input_details` is not supported by this engine: it has no log-probabilities of inputs"
        )
    if "top_k" in present and given.top_k == 0:
        raise InvalidInput("`top_k` must be strictly positive")
    if given.truncate == 0:
        raise InvalidInput("`truncate` must be strictly positive")


def llama_request(given: Parameters, prompt: list[int], new_tokens: int, window: int) -> dict[str, Any]:
    """Return the body of llama.cpp's `/completion` for checked parameters.

    `window` is how many of the last tokens the penalties look at: TGI's look at all.

    Stop sequences are left out: llama.cpp would cut them away, TGI keeps them.
    """
    request: dict[str, Any] = {
        "prompt": prompt,
        "stream": True,
        "return_tokens": True,
        "n_predict": new_tokens,
        "n_probs": max(1, given.top_n_tokens),
        "temperature": given.temperature if given.sampling else 0.0,
        "top_k": given.top_k,
        "top_p": given.top_p,
        "min_p": 0.0,
        "cache_prompt": False,
        "typical_p": given.typical_p,
        "repeat_penalty": given.repetition_penalty,
        "repeat_last_n": window,
        "frequency_penalty": given.frequency_penalty,
        "seed": (given.seed or 0) & 0xFFFFFFFF,
        # Hugging Face's order of warpers, which is TGI's.
        "samplers": ["penalties", "temperature", "top_k", "top_p", "typ_p"],
    }
    return request | ({"grammar": given.grammar.lark()} if given.grammar else {})


def chosen_seed(given: Parameters) -> int | None:
    """Return the seed to report and use: the client's, a fresh one when sampling, none when greedy."""
    if given.seed is not None or not given.sampling:
        return given.seed
    return secrets.randbits(32) & 0xFFFFFFFE
