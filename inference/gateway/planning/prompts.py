"""From a request and a deployment to the calls that the pod gets: template, features, what fits."""

from collections.abc import Mapping
from dataclasses import replace

from inference.backends.faults import CannotCount
from inference.backends.interface import GenerationCall
from inference.gateway.contract import ChatMessage, GenerationRequest, Grammar
from inference.gateway.entries import Deployment
from inference.gateway.faults import (
    ContextLengthExceeded,
    InvalidRequest,
    InvalidValue,
    MissingParameter,
    ModelFailed,
    UnsupportedParameter,
)
from inference.gateway.planning.features import check_features
from inference.gateway.planning.templates import ChatTemplate, TemplateBroken, TemplateRefused, compiled
from inference.gateway.requests.tools import CLOSE, begun_call
from inference.gateway.routing.dispatch import Dispatcher

# A prompt has no more tokens than bytes, save for the few that a tokenizer adds at the ends.
_ADDED_TOKENS = 16


def calls_of(request: GenerationRequest, deployment: Deployment) -> tuple[GenerationCall, ...]:
    """A call for each prompt, its `max_new_tokens` still as wished (0 when nobody wished anything)."""
    check_features(request, deployment)
    if request.messages:
        return (_call(request, deployment, chat_prompt(request, deployment)),)
    return tuple(
        _call(request, deployment, _completion_prompt(prompt, request.suffix, deployment))
        for prompt in request.prompts
    )


def chat_prompt(request: GenerationRequest, deployment: Deployment) -> str:
    """The messages as the model was trained to read them. Raises `InvalidRequest`, `ModelFailed`."""
    template = _template(deployment)
    offers_tools = template.reads_tools and "tools" in deployment.features
    for place, message in enumerate(request.messages, -request.led_by):
        param = f"messages[{place}]" if request.subject == "messages" else request.subject
        _check_message(message, param, template, offers_tools=offers_tools)
    if request.tools is not None and not offers_tools:
        raise UnsupportedParameter(
            "Unsupported parameter: 'tools' is not supported with this model.", param="tools"
        )
    try:
        prompt = template.render(request.messages, request.tools.shown if request.tools else None)
    except TemplateRefused as error:
        raise InvalidValue(
            f"This model's chat template refused the messages: {error}", param=request.subject
        ) from error
    if deployment.adds_bos:
        prompt = prompt.removeprefix(deployment.bos_token)
    return prompt + begun_call(request.tools) if request.tools else prompt


def _check_message(message: ChatMessage, param: str, template: ChatTemplate, *, offers_tools: bool) -> None:
    fault: InvalidRequest | None = None
    if message.name is not None and not template.reads_names:
        fault = UnsupportedParameter(
            "This model does not support 'name' in a message.", param=f"{param}.name"
        )
    elif message.role == "tool" and not offers_tools:
        fault = UnsupportedParameter("This model does not support messages of tools.", param=f"{param}.role")
    elif message.tool_calls and not offers_tools:
        fault = UnsupportedParameter(
            "This model does not support 'tool_calls' in a message.", param=f"{param}.tool_calls"
        )
    elif message.role == "tool" and message.tool_call_id is None:
        fault = MissingParameter(
            f"Missing required parameter: '{param}.tool_call_id'.", param=f"{param}.tool_call_id"
        )
    elif message.role != "tool" and message.tool_call_id is not None:
        fault = InvalidValue(
            f"Invalid '{param}.tool_call_id': only a tool's message has it.", param=f"{param}.tool_call_id"
        )
    if fault is not None:
        raise fault


def _template(deployment: Deployment) -> ChatTemplate:
    try:
        return compiled(
            deployment.chat_template, deployment.bos_token, deployment.eos_token, deployment.special_tokens
        )
    except TemplateBroken as error:
        raise ModelFailed("This model's chat template cannot be used.") from error


def _completion_prompt(prompt: str, suffix: str | None, deployment: Deployment) -> str:
    """The text as it is, or around the gap that the answer fills."""
    if not suffix:
        return prompt
    markers = deployment.fim_template
    if markers is None:
        raise UnsupportedParameter(
            "Unsupported parameter: 'suffix' is not supported with this model.", param="suffix"
        )
    return f"{markers.prefix}{prompt}{markers.suffix}{suffix}{markers.middle}"


def _call(request: GenerationRequest, deployment: Deployment, prompt: str) -> GenerationCall:
    return GenerationCall(
        prompt=prompt,
        adapter_id=deployment.adapter_id,
        max_new_tokens=request.max_tokens or deployment.default_max_tokens or 0,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        typical_p=request.typical_p,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        repetition_penalty=request.repetition_penalty,
        logit_bias=request.logit_bias,
        truncate=request.truncate,
        watermark=request.watermark,
        seed=request.seed,
        stop=request.stop if request.tools is None or request.tools.parallel else (*request.stop, CLOSE),
        top_logprobs=request.top_logprobs,
        json_schema=_schema(request.grammar),
        regex=request.grammar.pattern if request.grammar and request.grammar.kind == "regex" else None,
        logprobs=request.logprobs or request.verbatim or request.candidates > request.n,
        served_as=deployment.served_as,
    )


def _schema(grammar: Grammar | None) -> Mapping[str, object] | None:
    if grammar is None or grammar.kind == "regex":
        return None
    return {"type": "object"} if grammar.kind == "json_object" else grammar.schema


def prompt_bound(call: GenerationCall) -> int:
    """How many tokens the prompt has at most."""
    bound = len(call.prompt.encode()) + _ADDED_TOKENS
    return bound if call.truncate is None else min(bound, call.truncate)


def may_have(call: GenerationCall, tokens: int) -> bool:
    """Whether a count of the prompt's tokens is one that can be."""
    return 0 < tokens <= len(call.prompt) or 0 <= tokens <= prompt_bound(call)


def surely_fits(call: GenerationCall, deployment: Deployment) -> bool:
    """Whether the prompt's bytes rule out that prompt and answer are too long together."""
    return 0 < call.max_new_tokens <= deployment.context_tokens - prompt_bound(call)


async def fitted(
    call: GenerationCall, deployment: Deployment, dispatcher: Dispatcher, request: GenerationRequest
) -> tuple[GenerationCall, int | None]:
    """The call with `max_new_tokens` that fit, and the prompt's tokens if they had to be counted.

    The pod is asked to count only when the prompt may be too long; one that cannot count judges for itself.
    Raises `ContextLengthExceeded` naming the request's `subject` (messages or prompt), and `BackendFault`
    when counting fails.
    """
    if surely_fits(call, deployment):
        return call, None
    context, wished, asked = deployment.context_tokens, call.max_new_tokens, request.max_tokens or 0
    try:
        prompt_tokens = await dispatcher.count_tokens(deployment, call)
    except CannotCount:
        return replace(call, max_new_tokens=wished or max(1, context - prompt_bound(call))), None
    room = context - prompt_tokens
    if room < 1 or asked > room:
        raise too_long(context, prompt_tokens, asked, request.subject)
    return replace(call, max_new_tokens=min(wished or room, room)), prompt_tokens


def too_long(context: int, prompt_tokens: int, answer_tokens: int, subject: str) -> ContextLengthExceeded:
    """The fault in OpenAI's words. The `subject` is the parameter at fault: messages or prompt."""
    if not answer_tokens or prompt_tokens >= context:
        return ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens. However, your {subject} resulted in "
            f"{prompt_tokens} tokens. Please reduce the length of the {subject}.",
            param=subject,
        )
    return ContextLengthExceeded(
        f"This model's maximum context length is {context} tokens. However, you requested "
        f"{prompt_tokens + answer_tokens} tokens ({prompt_tokens} in the {subject}, {answer_tokens} in the "
        f"completion). Please reduce the length of the {subject} or completion.",
        param=subject,
    )
