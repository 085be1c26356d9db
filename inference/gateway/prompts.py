"""From a request and a deployment to the call that the pod gets: template, features, what fits."""

from dataclasses import replace

from inference.backends.faults import CannotCount
from inference.backends.interface import GenerationCall
from inference.gateway.contract import ChatRequest
from inference.gateway.entries import Deployment
from inference.gateway.faults import (
    ContextLengthExceeded,
    InvalidValue,
    ModelFailed,
    UnsupportedParameter,
)
from inference.gateway.routing.dispatch import Dispatcher
from inference.gateway.templates import TemplateBroken, TemplateRefused, compiled

# A prompt has no more tokens than bytes, save for the few that a tokenizer adds at the ends.
ADDED_TOKENS = 16
_MAX_TOP_LOGPROBS = 5


def call_of(request: ChatRequest, deployment: Deployment) -> GenerationCall:
    """The call, its `max_new_tokens` still as wished (0 when the caller wished nothing)."""
    _check_features(request, deployment)
    try:
        template = compiled(
            deployment.chat_template, deployment.bos_token, deployment.eos_token, deployment.special_tokens
        )
        prompt = template.render(request.messages)
    except TemplateRefused as error:
        raise InvalidValue(
            f"This model's chat template refused the messages: {error}", param="messages"
        ) from error
    except TemplateBroken as error:
        raise ModelFailed("This model's chat template cannot be used.") from error
    if deployment.adds_bos:
        prompt = prompt.removeprefix(deployment.bos_token)
    return GenerationCall(
        prompt=prompt,
        adapter_id=deployment.adapter_id,
        max_new_tokens=request.max_tokens or 0,
        temperature=request.temperature,
        top_p=request.top_p,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        stop=request.stop,
        top_logprobs=request.top_logprobs,
        json_schema=request.grammar.value if request.grammar else None,
        logprobs=request.logprobs,
        served_as=deployment.served_as,
    )


def _check_features(request: ChatRequest, deployment: Deployment) -> None:
    features = deployment.features
    if request.grammar is not None and "grammar" not in features:
        raise UnsupportedParameter(
            "Unsupported value: 'response_format' supports only {'type': 'text'} with this model.",
            param="response_format",
        )
    if request.top_logprobs and "top_logprobs" not in features:
        raise UnsupportedParameter(
            "Unsupported parameter: 'top_logprobs' is not supported with this model.", param="top_logprobs"
        )
    if request.top_logprobs > _MAX_TOP_LOGPROBS:
        raise InvalidValue(
            f"Invalid value for 'top_logprobs': this model gives at most {_MAX_TOP_LOGPROBS}.",
            param="top_logprobs",
        )


async def fitted(
    call: GenerationCall, deployment: Deployment, dispatcher: Dispatcher
) -> tuple[GenerationCall, int | None]:
    """The call with `max_new_tokens` that fit, and the prompt's tokens if they had to be counted.

    The pod is asked to count only when the prompt's bytes cannot rule out that it is too long; one that
    cannot count judges for itself. Raises `ContextLengthExceeded`, and `BackendFault` when the count fails.
    """
    context = deployment.context_tokens
    wished = call.max_new_tokens or deployment.default_max_tokens
    left = context - len(call.prompt.encode()) - ADDED_TOKENS
    if wished and wished <= left:
        return replace(call, max_new_tokens=wished), None
    try:
        prompt_tokens = await dispatcher.count_tokens(deployment, call)
    except CannotCount:
        return replace(call, max_new_tokens=wished or max(1, left)), None
    room = context - prompt_tokens
    if room < 1 or call.max_new_tokens > room:
        raise too_long(context, prompt_tokens, call.max_new_tokens)
    return replace(call, max_new_tokens=min(wished or room, room)), prompt_tokens


def too_long(context: int, prompt_tokens: int, answer_tokens: int) -> ContextLengthExceeded:
    """The fault in OpenAI's words."""
    if not answer_tokens or prompt_tokens >= context:
        return ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens. However, your messages resulted in "
            f"{prompt_tokens} tokens. Please reduce the length of the messages.",
            param="messages",
        )
    return ContextLengthExceeded(
        f"This model's maximum context length is {context} tokens. However, you requested "
        f"{prompt_tokens + answer_tokens} tokens ({prompt_tokens} in the messages, {answer_tokens} in the "
        "completion). Please reduce the length of the messages or completion.",
        param="messages",
    )
