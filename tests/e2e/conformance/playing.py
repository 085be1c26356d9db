"""A scripted model that plays along: what it answers follows from the prompt, so any client can ask for it.

The last words of the prompt choose: `say NAME` one of `SCRIPTS`; a wish for JSON or a pattern is granted;
a function that is offered is called, once. Anything else is greeted.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from inference.gateway.requests.tools import CLOSE, OPEN
from tests.inference.gateway.fake_tgi import FakeTgi, Script

# The turns, and the functions on offer as a JSON array in a line of its own.
TEMPLATE = (
    "{% if tools %}{{ '<tools>' + (tools | tojson) + '</tools>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message.role }}"
    "{% if message.name %}{{ ' (' + message.name + ')' }}{% endif %}{{ '\n' + message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "{{ '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FEATURES = ("grammar", "regex", "top_logprobs", "tools", "presence_penalty", "logit_bias")
OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
SCRIPTS: Mapping[str, Script] = {
    "characters beyond ASCII": Script(tokens=["Zür", "ich, ", "東京", " 🦊"], split=3),
    "many words": Script(tokens=[f" word{place}" for place in range(200)]),
    "something slowly": Script(first_delay=5.0),
    "half of it": Script(close_after=2),
    "nothing": Script(tokens=[]),
    "that you are full": Script(error=OVERLOADED),
    "that you are broken": Script(error={"error": "CUDA error", "error_type": "generation"}),
}
_SAY = re.compile(r"say ([\w ]+?)(?: after (\d+) refusals)?\W*\Z")
_TURN = re.compile(r"<\|im_start\|>(\w+)(?: \([^)]*\))?\n")
_OFFERED = re.compile(r"<tools>(.*)</tools>\n")
_QUOTED = re.compile(r"'([^']+)'")


class PlayingModel(FakeTgi):
    """TGI's protocol and failures, with answers that fit what is asked. Set nothing: ask."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: Counter[str] = Counter()

    async def _generate(
        self,
        body: dict[str, Any],
        script: Script,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        return await super()._generate(body, self._chosen(body), reader, writer)

    def _chosen(self, body: dict[str, Any]) -> Script:
        prompt, parameters = body["inputs"], body["parameters"]
        said = _SAY.search(_last_turn(prompt)[1])
        script = Script()
        if said is not None:
            script = SCRIPTS.get(said[1], script)
            if said[2] and self._refused[prompt] < int(said[2]):
                self._refused[prompt] += 1
                script = Script(error=OVERLOADED)
        answer = _wished_for(prompt, parameters.get("grammar")) if said is None else None
        if answer is not None:
            script = replace(script, tokens=[answer[place : place + 5] for place in range(0, len(answer), 5)])
        return _within(script, parameters)


def _within(script: Script, parameters: Mapping[str, Any]) -> Script:
    """The script with what its parameters ask for: alternatives, and an end after so many tokens."""
    if parameters.get("top_n_tokens"):
        script = replace(script, top=[("Hello", -0.5), ("Good", -1.5)][: parameters["top_n_tokens"]])
    most = parameters["max_new_tokens"]
    if len(script.tokens) >= most:
        return replace(script, tokens=script.tokens[:most], finish="length")
    return script


def _last_turn(prompt: str) -> tuple[str, str]:
    """Whose turn was last before the model's own, and its words; of a prompt without turns its whole text."""
    parts = _TURN.split(prompt)
    turns = [
        (who, text.partition("<|im_end|>")[0]) for who, text in zip(parts[1::2], parts[2::2], strict=True)
    ]
    return turns[-2] if len(turns) > 1 else ("user", prompt)


def _wished_for(prompt: str, grammar: Mapping[str, Any] | None) -> str | None:
    who, text = _last_turn(prompt)
    if grammar is not None and grammar["type"] == "regex":
        return "1234"
    if grammar is not None:
        return json.dumps(_fitting(grammar["value"], text), ensure_ascii=False)
    offered = _OFFERED.match(prompt)
    if offered is None or (who != "user" and not prompt.endswith(('"name": "', '"arguments": '))):
        return None
    return _call(prompt, [tool["function"] for tool in json.loads(offered[1])], text)


def _call(prompt: str, functions: list[dict[str, Any]], text: str) -> str:
    """A call of the function that the text names, else of the first; only its rest where it was begun."""
    named = sorted((one for one in functions if one["name"] in text), key=lambda one: -len(one["name"]))
    function = next(chain(named, functions))
    begun = re.search(r'\{"name": "(?:(\w+)", "arguments": )?\Z', prompt)
    if begun is not None and begun[1]:
        function = next(one for one in functions if one["name"] == begun[1])
    arguments = json.dumps(_fitting(function.get("parameters") or {}, text), ensure_ascii=False)
    whole = f'{OPEN}\n{{"name": "{function["name"]}", "arguments": {arguments}}}\n{CLOSE}'
    return whole if begun is None else whole.removeprefix(OPEN + "\n" + begun[0])


def _fitting(schema: Mapping[str, Any], text: str) -> Any:
    """A document that the schema allows, its words and numbers from the text."""
    quoted, numbers = iter(_QUOTED.findall(text)), iter(re.findall(r"\d+", text))
    if schema == {"type": "object"}:
        return dict.fromkeys(quoted, "something")
    return _instance(schema, schema, quoted, numbers)


def _instance(
    schema: Mapping[str, Any], root: Mapping[str, Any], words: Iterator[str], numbers: Iterator[str]
) -> Any:
    if "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _instance(found, root, words, numbers)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _instance(schema[several][0], root, words, numbers)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "array":
        return [_instance(schema.get("items", {}), root, words, numbers)]
    if schema.get("type", "object") == "object":
        inner = schema.get("properties", {}).items()
        return {name: _instance(one, root, words, numbers) for name, one in inner}
    plain = {"integer": lambda: int(next(numbers, 7)), "number": lambda: 0.5, "boolean": lambda: True}
    return plain.get(schema["type"], lambda: next(words, "something"))()
