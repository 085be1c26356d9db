"""Prompt templates: messages with `{{ variables }}`, which a deployment pins and callers fill.

They are texts with places to fill and no programs: of the template language (Jinja's, in the sandbox of chat
templates) names alone are allowed, so that no template can keep a gateway busy.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes

from inference.gateway.contract import ChatMessage, PromptReference, Role
from inference.gateway.faults import InvalidValue, MissingParameter, UnknownParameter, UnsupportedParameter
from inference.gateway.planning.templates import sandbox
from inference.gateway.requests import checks

MAX_MESSAGES = 32
MAX_TEMPLATE_CHARACTERS = 64_000
MAX_VARIABLES = 64
_MAX_NAME_CHARACTERS = 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_LANGUAGE = sandbox().overlay(keep_trailing_newline=True, undefined=StrictUndefined)
_PARTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name)


@dataclass(frozen=True)
class PinnedPrompt:
    """One version of a prompt template, as a deployment's policy pins it."""

    prompt_id: str
    version: int
    messages: tuple[ChatMessage, ...] = field(repr=False)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names that callers must fill."""
        return frozenset[str]().union(*(variables_in(one.content, "content") for one in self.messages))

    def filled(
        self, reference: PromptReference | None, clean: Callable[[str], str]
    ) -> tuple[ChatMessage, ...]:
        """The messages with the caller's values, each of them cleaned first.

        Raises an `InvalidRequest` that names the variable at fault, or the id or version that is not pinned.
        """
        given = reference or PromptReference(self.prompt_id)
        self._check(given)
        values = {name: clean(value) for name, value in given.variables.items()}
        return tuple(
            ChatMessage(one.role, _LANGUAGE.from_string(one.content).render(values)) for one in self.messages
        )

    def _check(self, given: PromptReference) -> None:
        if given.prompt_id != self.prompt_id:
            raise InvalidValue(
                f"This deployment answers with the prompt '{self.prompt_id}' only.", param="prompt.id"
            )
        if given.version not in (None, str(self.version)):
            raise InvalidValue(
                f"This deployment answers with version '{self.version}' of its prompt only.",
                param="prompt.version",
            )
        for name in sorted(self.variables - given.variables.keys()):
            param = f"prompt.variables.{name}"
            raise MissingParameter(f"Missing required parameter: '{param}'.", param=param)
        for name in sorted(given.variables.keys() - self.variables):
            param = f"prompt.variables.{name}"
            raise UnknownParameter(
                f"Unknown parameter: '{param}'. The prompt has no such variable.", param=param
            )


def variables_in(text: str, param: str) -> frozenset[str]:
    """The names in a template's text. Raises `InvalidValue` for what is more than text and names."""
    try:
        parsed = _LANGUAGE.parse(text)
    except TemplateSyntaxError as error:
        raise InvalidValue(
            f"Invalid '{param}': {error.message} (line {error.lineno}).", param=param
        ) from None
    for node in parsed.find_all(nodes.Node):
        if not isinstance(node, _PARTS):
            raise InvalidValue(
                f"Invalid '{param}': a prompt has text and '{{{{ variables }}}}' only (line {node.lineno}).",
                param=param,
            )
    return frozenset(node.name for node in parsed.find_all(nodes.Name))


def read_template(value: object, param: str) -> tuple[ChatMessage, ...]:
    """The messages of a template. Raises an `InvalidRequest` that names the place at fault."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_MESSAGES:
        raise InvalidValue(f"Invalid '{param}': expected 1 to {MAX_MESSAGES} messages.", param=param)
    messages = tuple(_message(one, f"{param}[{place}]") for place, one in enumerate(value))
    names: set[str] = set()
    for place, message in enumerate(messages):
        names |= variables_in(message.content, f"{param}[{place}].content")
    if sum(len(one.content) for one in messages) > MAX_TEMPLATE_CHARACTERS:
        raise InvalidValue(
            f"Invalid '{param}': at most {MAX_TEMPLATE_CHARACTERS} characters are allowed.", param=param
        )
    if len(names) > MAX_VARIABLES:
        raise InvalidValue(f"Invalid '{param}': at most {MAX_VARIABLES} variables are allowed.", param=param)
    return messages


def _message(value: object, param: str) -> ChatMessage:
    given = checks.mapping(value, param)
    checks.only(given, ("role", "content"), f"{param}.")
    for name in ("role", "content"):
        if given.get(name) is None:
            raise MissingParameter(f"Missing required parameter: '{param}.{name}'.", param=f"{param}.{name}")
    role = checks.text(given["role"], f"{param}.role")
    if role not in _ROLES:
        supported = ", ".join(f"'{name}'" for name in _ROLES)
        raise InvalidValue(f"Invalid value. Supported values are: {supported}.", param=f"{param}.role")
    return ChatMessage(_ROLES[role], checks.text(given["content"], f"{param}.content"))


def read_pinned(value: object, param: str) -> PinnedPrompt:
    """The version that a published policy pins. Raises an `InvalidRequest`."""
    given = checks.mapping(value, param)
    return PinnedPrompt(
        checks.text(given.get("id"), f"{param}.id"),
        checks.integer(1, 2**31 - 1)(given.get("version"), f"{param}.version"),  # type: ignore[arg-type]
        read_template(given.get("messages"), f"{param}.messages"),
    )


@checks.accepting(
    type="object",
    properties={
        "id": {"type": "string"},
        "version": {"type": "string"},
        "variables": {"type": "object", "maxProperties": MAX_VARIABLES},
    },
    required=["id"],
)
def read_reference(value: object, param: str) -> PromptReference:
    """OpenAI's `prompt`: the id, the version if the caller cares, and values of variables."""
    given = checks.mapping(value, param)
    checks.only(given, ("id", "version", "variables"), f"{param}.")
    if given.get("id") is None:
        raise MissingParameter(f"Missing required parameter: '{param}.id'.", param=f"{param}.id")
    variables = given.get("variables")
    values = {} if variables is None else checks.mapping(variables, f"{param}.variables")
    if len(values) > MAX_VARIABLES:
        raise InvalidValue(
            f"Invalid '{param}.variables': at most {MAX_VARIABLES} are allowed.", param=f"{param}.variables"
        )
    version = given.get("version")
    return PromptReference(
        prompt_id=checks.text(given["id"], f"{param}.id"),
        version=None if version is None else checks.text(version, f"{param}.version"),
        variables={name: _value(one, _place(name, param)) for name, one in values.items()},
    )


def _place(name: str, param: str) -> str:
    """Where a variable's value stands; its name is one that a template can have."""
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARACTERS:
        raise InvalidValue(
            f"Invalid '{param}.variables': names have letters, digits and '_' only, and at most "
            f"{_MAX_NAME_CHARACTERS} of them.",
            param=f"{param}.variables",
        )
    return f"{param}.variables.{name}"


def _value(value: object, param: str) -> str:
    """A text, by itself or as OpenAI's `input_text`."""
    if isinstance(value, dict):
        if value.get("type") != "input_text":
            raise UnsupportedParameter(
                "This model reads variables that are text only: strings, or the type 'input_text'.",
                param=f"{param}.type",
            )
        checks.only(value, ("type", "text"), f"{param}.")
        return checks.text(value.get("text"), f"{param}.text")
    return checks.text(value, param)
