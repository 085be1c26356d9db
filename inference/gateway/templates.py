"""Chat templates, rendered as transformers renders them, with user text kept from posing as control tokens.

The pod tokenizes the whole prompt and turns the text of a control token into the token wherever it stands,
also inside a message. So a control token's text within a message gets a space after its first character: it
stays legible to the model and to people, and is ordinary text to the tokenizer.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn

import orjson
from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.gateway.contract import ChatMessage

# The shape of control tokens in practically every tokenizer, whether this template uses them or not.
_ALWAYS = r"<[|\uff5c][^<>\s]{1,64}[|\uff5c]>"
# Of tools and their calls templates read names too: a speaker's is a name of the message.
_SPEAKERS_NAME = re.compile(r"""\bm(?:essage|sg)?(?:\.name\b|\[\s*['"]name['"]\s*\])""")
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


def _tojson(value: Any, indent: int | None = None) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()


def _environment() -> ImmutableSandboxedEnvironment:
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
            self._template = _environment().from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateBroken(str(error)) from error
        self.reads_names = bool(_SPEAKERS_NAME.search(source))
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        markers = {bos_token, eos_token, *special, *_MARKER.findall(source)}
        by_length = sorted((marker for marker in markers if len(marker) > 1), key=len, reverse=True)
        literal = [re.escape(marker) for marker in by_length]
        self._control = re.compile("|".join([*literal, _ALWAYS]))

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt, ending where the assistant begins. Raises `TemplateRefused`."""
        turns = [self._turn(one) for one in messages]
        try:
            return self._template.render(messages=turns, add_generation_prompt=True, **self._tokens)
        except TemplateRefused:
            raise
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise TemplateRefused(f"The chat template failed: {type(error).__name__}.") from error

    def _turn(self, message: ChatMessage) -> dict[str, str]:
        turn = {"role": message.role, "content": self.neutral(message.content)}
        if message.name is not None:
            turn["name"] = self.neutral(message.name)
        return turn

    def neutral(self, text: str) -> str:
        """The text with control tokens broken up, until none is left."""
        while self._control.search(text):
            text = self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text


@lru_cache(maxsize=512)
def compiled(source: str, bos_token: str, eos_token: str, special: tuple[str, ...]) -> ChatTemplate:
    """The template, compiled once. Raises `TemplateBroken`."""
    return ChatTemplate(source, bos_token=bos_token, eos_token=eos_token, special=special)
