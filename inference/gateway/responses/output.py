"""The output of one response: messages and calls as they come, and the events that tell of them."""

from typing import Any

import orjson

from inference.gateway.contract import Token, ToolCall
from inference.gateway.planning.plans import Plan
from inference.gateway.requests.tools import CallReader
from inference.gateway.surfaces.rendering import logprob_object

Told = dict[str, Any]


class EventNumbers:
    """Counts the events of one stream from 0."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, kind: str, **fields: Any) -> bytes:
        """One event, numbered."""
        document = {"type": kind, "sequence_number": self._next} | fields
        self._next += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document))


class Output:
    """Takes an answer token by token. `items` are what is complete; each step returns its events."""

    def __init__(self, plan: Plan, numbers: EventNumbers) -> None:
        self._plan, self._numbers = plan, numbers
        self._reader = CallReader(plan.request.tools) if plan.request.tools else None
        self._texts: list[str] | None = None
        self._logprobs: list[Told] = []
        self.items: list[Told] = []

    def take(self, token: Token) -> bytes:
        """One token of the answer."""
        if self._reader is not None:
            return b"".join([self._part(part) for part in self._reader.feed(token.text)])
        if not self._plan.request.logprobs:
            return self._text(token.text, []) if token.text else b""
        return self._text(token.text, [logprob_object(token)])

    def end(self, *, complete: bool) -> bytes:
        """The answer is over; one without anything is an empty message."""
        told = b""
        if self._reader is not None:
            told = b"".join([self._part(part) for part in self._reader.rest()])
        if not self.items and self._texts is None:
            told += self._open()
        return told + self._close("completed" if complete else "incomplete")

    @property
    def _place(self) -> Told:
        return {"item_id": self._item_id("msg"), "output_index": len(self.items), "content_index": 0}

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._plan.request_id.hex}{len(self.items):02x}"

    def _part(self, part: str | ToolCall) -> bytes:
        if isinstance(part, str):
            return self._text(part, [])
        return self._close("completed") + self._call(part)

    def _text(self, text: str, logprobs: list[Told]) -> bytes:
        told = self._open() if self._texts is None else b""
        assert self._texts is not None
        self._texts.append(text)
        self._logprobs += logprobs
        # Events tell less of a token than the finished text does.
        brief = [_brief(one) for one in logprobs]
        fields = self._place | {"delta": text, "logprobs": brief}
        return told + self._numbers.event("response.output_text.delta", **fields)

    def _open(self) -> bytes:
        self._texts, self._logprobs = [], []
        item = self._message([], "in_progress")
        added = self._numbers.event("response.output_item.added", output_index=len(self.items), item=item)
        part = _output_text("", [])
        return added + self._numbers.event("response.content_part.added", **self._place, part=part)

    def _close(self, status: str) -> bytes:
        if self._texts is None:
            return b""
        text, self._texts = "".join(self._texts), None
        part, event, place = _output_text(text, self._logprobs), self._numbers.event, self._place
        brief = [_brief(one) for one in self._logprobs]
        told = event("response.output_text.done", **place, text=text, logprobs=brief)
        told += event("response.content_part.done", **place, part=part)
        return told + self._done(self._message([part], status))

    def _call(self, call: ToolCall) -> bytes:
        item: Told = {
            "id": self._item_id("fc"),
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        event, index = self._numbers.event, len(self.items)
        begun = item | {"arguments": "", "status": "in_progress"}
        place = {"item_id": item["id"], "output_index": index}
        told = event("response.output_item.added", output_index=index, item=begun)
        told += event("response.function_call_arguments.delta", **place, delta=call.arguments)
        told += event(
            "response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments
        )
        return told + self._done(item)

    def _done(self, item: Told) -> bytes:
        index = len(self.items)
        self.items.append(item)
        return self._numbers.event("response.output_item.done", output_index=index, item=item)

    def _message(self, content: list[Told], status: str) -> Told:
        return {
            "id": self._item_id("msg"),
            "type": "message",
            "role": "assistant",
            "content": content,
            "status": status,
        }


def _output_text(text: str, logprobs: list[Told]) -> Told:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _brief(logprob: Told) -> Told:
    top = [{"token": one["token"], "logprob": one["logprob"]} for one in logprob["top_logprobs"]]
    return {"token": logprob["token"], "logprob": logprob["logprob"], "top_logprobs": top}
