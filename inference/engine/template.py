"""The base's chat template, rendered as Hugging Face renders it, in a sandbox."""

from datetime import datetime
from typing import Any, NoReturn

import orjson
from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.engine.base import Base
from inference.engine.faults import InvalidInput, InvalidTemplate


class ChatTemplate:
    """Turns messages into the text that the model continues."""

    def __init__(self, base: Base) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda shape: datetime.now().astimezone().strftime(shape)
        self._tokens = {"bos_token": base.bos_token, "eos_token": base.eos_token}
        source = base.chat_template
        self._template = environment.from_string(source) if source else None

    def render(self, messages: object) -> str:
        """Return the prompt for `messages`, ending where the assistant begins.

        Raises `InvalidInput` for messages of the wrong shape, `InvalidTemplate` when the template
        refuses them or the base has none.
        """
        if self._template is None:
            raise InvalidTemplate("this base model has no chat template")
        checked = _checked(messages)
        try:
            return self._template.render(messages=checked, add_generation_prompt=True, **self._tokens)
        except TemplateError as fault:
            raise InvalidTemplate(str(fault)) from fault


def _checked(messages: object) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise InvalidInput("`messages` must be a list that is not empty")
    return [_message(message) for message in messages]


def _message(message: Any) -> dict[str, Any]:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str) or not role:
        raise InvalidInput("each of `messages` must have a `role`")
    return {"role": role, "content": _content(message.get("content"))}


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    raise InvalidInput("the `content` of each of `messages` must be a string or a list of text parts")


def _part(part: Any) -> str:
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise InvalidInput("this model reads text only: each part of `content` must be of type text")
    return str(part["text"])


def _to_json(value: Any, indent: int | None = None) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode()


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
