"""What a deployment's model server can do beyond the least of its kind, and what asks for it."""

from collections.abc import Callable, Mapping

from inference.gateway.contract import GenerationRequest
from inference.gateway.entries import Deployment
from inference.gateway.faults import InvalidValue, UnsupportedParameter

MAX_TOP_LOGPROBS = 5

_Asks = Callable[[GenerationRequest], bool]

# A feature, what asks for it, and the parameter of OpenAI's API that does.
_FEATURES: tuple[tuple[str, _Asks, str], ...] = (
    ("top_logprobs", lambda request: request.top_logprobs > 0, "top_logprobs"),
    ("grammar", lambda request: request.grammar is not None and request.grammar.kind != "regex", "grammar"),
    ("regex", lambda request: request.grammar is not None and request.grammar.kind == "regex", "grammar"),
    ("presence_penalty", lambda request: request.presence_penalty != 0, "presence_penalty"),
    ("logit_bias", lambda request: bool(request.logit_bias), "logit_bias"),
    ("repetition_penalty", lambda request: request.repetition_penalty != 1, "repetition_penalty"),
    ("top_k", lambda request: request.top_k > 0, "top_k"),
    ("typical_p", lambda request: request.typical_p < 1, "typical_p"),
    ("truncate", lambda request: request.truncate is not None, "truncate"),
    ("watermark", lambda request: request.watermark, "watermark"),
)
# What surfaces call a parameter, where that is not its own name.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "chat.completions": {"grammar": "response_format"},
    "completions": {"top_logprobs": "logprobs"},
    "responses": {"grammar": "text.format"},
    "tgi": {"top_logprobs": "top_n_tokens"},
}


def check_features(request: GenerationRequest, deployment: Deployment) -> None:
    """Raise `UnsupportedParameter` for the first parameter that the server cannot honour."""
    for feature, asks, parameter in _FEATURES:
        if asks(request) and feature not in deployment.features:
            raise _unsupported(_NAMES.get(request.surface, {}).get(parameter, parameter))
    if request.top_logprobs > MAX_TOP_LOGPROBS:
        param = _NAMES.get(request.surface, {}).get("top_logprobs", "top_logprobs")
        raise InvalidValue(
            f"Invalid value for '{param}': this model gives at most {MAX_TOP_LOGPROBS}.", param=param
        )


def _unsupported(param: str) -> UnsupportedParameter:
    if param == "response_format":
        return UnsupportedParameter(
            "Unsupported value: 'response_format' is not supported in this form with this model.", param=param
        )
    return UnsupportedParameter(
        f"Unsupported parameter: '{param}' is not supported with this model.", param=param
    )
