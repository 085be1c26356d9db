"""Chat templates, rendered as transformers renders them, with user text kept from posing as control tokens.

The pod tokenizes the whole prompt and turns the text of a control token into the token wherever it stands,
also inside a message. So a control token's text within a message gets a space after its first character: it
stays legible to the model and to people, and is ordinary text to the tokenizer.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn

import orjson
from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.gateway.contract import ChatMessage, ToolCall

# The shape of control tokens in practically every tokenizer, whether this template uses them or not.
_ALWAYS = r"<[|\uff5c][^<>\s]{1,64}[|\uff5c]>"
# Of tools and their calls templates read names too: a speaker's is a name of the message.
_SPEAKERS_NAME = re.compile(r"""\bm(?:essage|sg)?(?:\.name\b|\[\s*['"]name['"]\s*\])""")
_TOOLS = re.compile(r"\btools\b")
_MARKER = re.compile(
    r"<[|\uff5c][^<>\s]{1,64}[|\uff5c]>|</?[A-Za-z][\w-]{0,63}>|\[/?[A-Z_]{2,32}\]|<</?[A-Z]{2,32}>>"
)


class TemplateRefused(Exception):
    """The template raised: the conversation is not one that the model was trained on."""


class TemplateBroken(Exception):
    """The template does not compile."""


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks what was trained on; it renders as if absent."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRefused(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now(UTC).strftime(pattern)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 (templates call it as transformers declares it)
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    """As transformers writes JSON: models were trained on its blanks."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def sandbox() -> ImmutableSandboxedEnvironment:
    """Where templates are rendered: they reach nothing but what they are given."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    environment.filters["tojson"] = _tojson
    return environment


class ChatTemplate:
    """A compiled template with its model's control tokens."""

    def __init__(self, source: str, *, bos_token: str, eos_token: str, special: Sequence[str] = ()) -> None:
        try:
            self._template = sandbox().from_string(source)
            # A chain of mappings otherwise, which is walked through for every prompt.
            self._template.globals = dict(self._template.globals)
        except TemplateSyntaxError as error:
            raise TemplateBroken(str(error)) from error
        self.reads_names = bool(_SPEAKERS_NAME.search(source))
        self.reads_tools = bool(_TOOLS.search(source))
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        markers = {bos_token, eos_token, *special, *_MARKER.findall(source)}
        by_length = sorted((marker for marker in markers if len(marker) > 1), key=len, reverse=True)
        literal = [re.escape(marker) for marker in by_length]
        self._control = re.compile("|".join([*literal, _ALWAYS]))

    def render(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]] | None = None
    ) -> str:
        """The prompt, ending where the assistant begins. Raises `TemplateRefused`."""
        turns = [self._turn(one) for one in messages]
        try:
            return self._template.render(
                messages=turns,
                tools=self._neutral_throughout(list(tools)) if tools else None,
                add_generation_prompt=True,
                **self._tokens,
            )
        except TemplateRefused:
            raise
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise TemplateRefused(f"The chat template failed: {type(error).__name__}.") from error

    def _turn(self, message: ChatMessage) -> dict[str, Any]:
        turn: dict[str, Any] = {"role": message.role, "content": self.neutral(message.content)}
        if message.name is not None:
            turn["name"] = self.neutral(message.name)
        if message.tool_calls:
            turn["tool_calls"] = [self._called(call) for call in message.tool_calls]
        if message.tool_call_id is not None:
            turn["tool_call_id"] = self.neutral(message.tool_call_id)
        return turn

    def _called(self, call: ToolCall) -> dict[str, Any]:
        """As transformers' templates expect it: the arguments are an object, not its text."""
        arguments = self._neutral_throughout(orjson.loads(call.arguments))
        function = {"name": self.neutral(call.name), "arguments": arguments}
        return {"id": self.neutral(call.id), "type": "function", "function": function}

    def _neutral_throughout(self, value: Any) -> Any:
        """The value with every text in it made neutral."""
        if isinstance(value, str):
            return self.neutral(value)
        if isinstance(value, list):
            return [self._neutral_throughout(one) for one in value]
        if isinstance(value, dict):
            return {self.neutral(name): self._neutral_throughout(one) for name, one in value.items()}
        return value

    def neutral(self, text: str) -> str:
        """The text with control tokens broken up, until none is left."""
        while self._control.search(text):
            text = self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text


@lru_cache(maxsize=512)
def compiled(source: str, bos_token: str, eos_token: str, special: tuple[str, ...]) -> ChatTemplate:
    """The template, compiled once. Raises `TemplateBroken`."""
    return ChatTemplate(source, bos_token=bos_token, eos_token=eos_token, special=special)
