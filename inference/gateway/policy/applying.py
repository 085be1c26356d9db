"""A request as the deployment's policy lets it be: checked, filtered, with the system prompt before it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from inference.gateway.contract import ChatMessage, GenerationRequest, Grammar
from inference.gateway.faults import ContentPolicyViolation, InvalidValue, UnsupportedParameter
from inference.gateway.policy.attacks import signs_in
from inference.gateway.policy.document import BOUNDED, OPEN, PLAIN, Bounds, Policy
from inference.gateway.policy.guarding import TextGuard
from inference.gateway.policy.notes import GuardNotes

# Whether a request asks for what can only be allowed or not.
_ASKS: Mapping[str, Callable[[GenerationRequest], bool]] = {
    "seed": lambda request: "seed" in request.given,
    "stop": lambda request: bool(request.stop),
    "top_k": lambda request: request.top_k > 0,
    "logit_bias": lambda request: request.logit_bias is not None,
    "logprobs": lambda request: request.logprobs or request.top_logprobs > 0,
    "tools": lambda request: request.tools is not None,
    "response_format": lambda request: request.grammar is not None,
    "suffix": lambda request: bool(request.suffix),
    "echo": lambda request: request.echo,
    "watermark": lambda request: request.watermark,
}
_NOT_ALLOWED = "it has personal data or words that are not allowed"
# What surfaces call them, where that is not their own name.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "response_format": ("grammar", "text"),
    "logprobs": ("include", "top_n_tokens", "top_logprobs"),
    "echo": ("return_full_text",),
    "max_tokens": ("max_completion_tokens", "max_new_tokens", "max_output_tokens"),
}


def governed(request: GenerationRequest, policy: Policy, notes: GuardNotes | None) -> GenerationRequest:
    """The request as it may be made. Raises an `InvalidRequest` that names what may not be.

    A bound applies to what the caller did not give, too: the nearest value within it is used.
    """
    if policy is OPEN and request.prompt is None:
        return request
    _check_allowed(request, policy)
    request = replace(request, **_bounded(request, policy))
    request = _with_schema(request, policy)
    if notes is not None and policy.guards_prompts:
        request = _filtered(request, policy, notes)
    return _with_system_prompt(_with_prompt(request, policy, notes), policy)


def _name(request: GenerationRequest, parameter: str) -> str:
    """As the caller wrote it."""
    written = (one for one in _NAMES.get(parameter, ()) if one in request.given)
    return parameter if parameter in request.given else next(written, parameter)


def _check_allowed(request: GenerationRequest, policy: Policy) -> None:
    for parameter, bounds in policy.parameters.items():
        asked = _ASKS[parameter](request) if parameter in PLAIN else parameter in request.given
        if asked and not bounds.allowed:
            raise _not_allowed(request, parameter, "This deployment's policy does not allow it.")
    if policy.guards_answers and _ASKS["logprobs"](request):
        reason = "This deployment filters its answers, and log probabilities would tell what it filters."
        raise _not_allowed(request, "logprobs", reason)


def _not_allowed(request: GenerationRequest, parameter: str, reason: str) -> UnsupportedParameter:
    name = _name(request, parameter)
    return UnsupportedParameter(f"Unsupported parameter: '{name}'. {reason}", param=name)


def _bounded(request: GenerationRequest, policy: Policy) -> dict[str, Any]:
    limit = policy.max_answer_tokens
    wished = {name: policy.parameters[name] for name in BOUNDED if name in policy.parameters}
    if limit is not None and request.max_tokens is not None:
        wished["max_tokens"] = Bounds(maximum=limit)
    fields: dict[str, Any] = {}
    for parameter, bounds in wished.items():
        value = getattr(request, parameter)
        if value is not None and (fitting := _within(value, bounds)) != value:
            name = _name(request, parameter)
            if name in request.given:
                raise InvalidValue(
                    f"Invalid value for '{name}': this deployment's policy allows {_range(bounds)}, but got "
                    f"{value:g} instead.",
                    param=name,
                )
            fields[parameter] = type(value)(fitting)
    return fields


def _within(value: float, bounds: Bounds) -> float:
    if bounds.minimum is not None and value < bounds.minimum:
        return bounds.minimum
    return bounds.maximum if bounds.maximum is not None and value > bounds.maximum else value


def _range(bounds: Bounds) -> str:
    bounded = {"at least": bounds.minimum, "at most": bounds.maximum}
    return " and ".join(f"{word} {bound:g}" for word, bound in bounded.items() if bound is not None)


def _with_schema(request: GenerationRequest, policy: Policy) -> GenerationRequest:
    if policy.output_schema is None:
        return request
    for parameter in ("response_format", "tools"):
        if _ASKS[parameter](request):
            raise _not_allowed(request, parameter, "This deployment's policy prescribes the answer's form.")
    return replace(request, grammar=Grammar("json", schema=policy.output_schema))


def _filtered(request: GenerationRequest, policy: Policy, notes: GuardNotes) -> GenerationRequest:
    clean = partial(_clean, policy=policy, notes=notes, subject=request.subject)
    tools = request.tools
    return replace(
        request,
        messages=tuple(_clean_message(one, clean) for one in request.messages),
        prompts=tuple(clean(one) for one in request.prompts),
        suffix=None if request.suffix is None else clean(request.suffix),
        tools=tools
        and replace(tools, definitions=tuple(_throughout(one, clean) for one in tools.definitions)),
    )


def check_texts(texts: Sequence[str], policy: Policy, notes: GuardNotes, subject: str) -> None:
    """For what is passed to a server as it is: what would be redacted is refused too, and so are tokens,
    which cannot be looked through. Raises `ContentPolicyViolation`.
    """
    if not policy.guards_prompts:
        return
    if not texts:
        raise ContentPolicyViolation(
            f"This deployment looks through what it is sent, so '{subject}' can be text only.", param=subject
        )
    for text in texts:
        if _clean(text, policy=policy, notes=notes, subject=subject) != text:
            raise _violation(subject, _NOT_ALLOWED)


def _clean_message(message: ChatMessage, clean: Callable[[str], str]) -> ChatMessage:
    calls = [
        replace(one, arguments=orjson.dumps(_throughout(orjson.loads(one.arguments), clean)).decode())
        for one in message.tool_calls
    ]
    name = None if message.name is None else clean(message.name)
    return replace(message, content=clean(message.content), name=name, tool_calls=tuple(calls))


def _throughout(value: Any, clean: Callable[[str], str]) -> Any:
    """The value with every text and number in it cleaned; a number that stays as it is stays a number."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_throughout(one, clean) for one in value]
    if isinstance(value, dict):
        return {name: _throughout(one, clean) for name, one in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        cleaned = clean(str(value))
        return value if cleaned == str(value) else cleaned
    return value


def _clean(text: str, *, policy: Policy, notes: GuardNotes, subject: str) -> str:
    """The text as the model may read it. Raises `ContentPolicyViolation`."""
    if policy.attacks != "off":
        with notes.timed():
            signs = signs_in(text)
        if signs:
            notes.found("attacks.prompt", signs)
            if policy.attacks == "block":
                raise _violation(subject, "it tries to set the model's instructions aside")
    if (policy.pii.prompt, policy.words.prompt) == ("off", "off"):
        return text
    guard = TextGuard(policy, "prompt", notes)
    cleaned = guard.feed(text) + guard.rest()
    if guard.blocked:
        raise _violation(subject, _NOT_ALLOWED)
    return cleaned


def _violation(subject: str, reason: str) -> ContentPolicyViolation:
    return ContentPolicyViolation(
        f"Your request was rejected by this deployment's content policy: {reason}. Change '{subject}' and "
        "send it again.",
        param=subject,
    )


def _with_prompt(request: GenerationRequest, policy: Policy, notes: GuardNotes | None) -> GenerationRequest:
    """Led by the messages of the pinned prompt template, filled with the caller's values."""
    if policy.prompt is None:
        if request.prompt is None:
            return request
        raise InvalidValue("This deployment has no prompt template to fill.", param="prompt")
    _check_chats(request)

    def clean(value: str) -> str:
        if notes is None or not policy.guards_prompts:
            return value
        return _clean(value, policy=policy, notes=notes, subject="prompt")

    filled = policy.prompt.filled(request.prompt, clean)
    return replace(_led_by(filled, request), prompt=None)


def _with_system_prompt(request: GenerationRequest, policy: Policy) -> GenerationRequest:
    """Led by the deployment's own."""
    if not policy.system_prompt:
        return request
    _check_chats(request)
    return _led_by((ChatMessage("system", policy.system_prompt),), request)


def _check_chats(request: GenerationRequest) -> None:
    if request.prompts:
        raise InvalidValue(
            "This deployment has a prompt of its own, so it answers chats and responses only: text without a "
            "chat template would go around it. Use '/v1/chat/completions'.",
            param=request.subject,
        )


def _led_by(leading: tuple[ChatMessage, ...], request: GenerationRequest) -> GenerationRequest:
    """With these messages first. System messages that meet become one: many chat templates know one only."""
    messages, led_by = request.messages, request.led_by + len(leading)
    if messages and leading[-1].role == "system" == messages[0].role and messages[0].name is None:
        merged = ChatMessage("system", f"{leading[-1].content}\n\n{messages[0].content}")
        leading, messages, led_by = (*leading[:-1], merged), messages[1:], led_by - 1
    return replace(request, messages=leading + messages, led_by=led_by)
