"""A client of Text Generation Inference's own protocol (3.3), which the embedded pod speaks too.

Every generation goes through `/generate_stream`, also when the caller wants one answer at the end: only a
stream tells, when a caller leaves midway, what has been generated until then.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from huggingface_hub import AsyncInferenceClient

from inference.backends.faults import (
    BackendFault,
    Broken,
    OtherModel,
    Overloaded,
    Refused,
    TooLong,
    UnknownAdapter,
    Unreachable,
)
from inference.backends.http11 import Connection, Pool, Sent, nobody_cares
from inference.backends.interface import (
    Alternative,
    BackendAddress,
    Begun,
    End,
    EndReason,
    GenerationCall,
    Piece,
    Timeouts,
    TokenPlace,
    forget,
)
from inference.backends.streams import EventStream

# What every TGI can beyond the parameters that all servers have; it tells log probabilities unasked.
ABILITIES = frozenset({"repetition_penalty", "top_k", "typical_p", "truncate", "logprobs_unasked"})
_SEEDS = 2**63 - 1
_REASONS: dict[str, EndReason] = {
    "length": "length",
    "eos_token": "eos_token",
    "stop_sequence": "stop_sequence",
}
_TOO_LONG_IN_ALL = re.compile(r"must be <= (\d+)\. Given: (\d+) `inputs` tokens and (\d+) `max_new_tokens`")
_TOO_LONG_PROMPT = re.compile(r"`inputs` must have less than (\d+) tokens\. Given: (\d+)")


def parameters_of(call: GenerationCall) -> dict[str, object]:
    """TGI's `parameters`. What is at its neutral value is left out, as TGI refuses some neutral values."""
    greedy = call.temperature == 0 or call.top_p == 0
    parameters: dict[str, object] = {
        "max_new_tokens": call.max_new_tokens,
        "do_sample": not greedy,
        "details": True,
        "return_full_text": False,
    }
    if not greedy:
        parameters["temperature"] = call.temperature
    optional: dict[str, object] = {
        "adapter_id": call.adapter_id,
        "top_p": call.top_p if 0 < call.top_p < 1 else None,
        "frequency_penalty": call.frequency_penalty or None,
        # Beyond TGI's own parameters: only servers whose features say so are asked.
        "presence_penalty": call.presence_penalty or None,
        "logit_bias": {str(one): bias for one, bias in (call.logit_bias or {}).items()} or None,
        "repetition_penalty": call.repetition_penalty if call.repetition_penalty != 1 else None,
        "top_k": call.top_k or None,
        "typical_p": call.typical_p if call.typical_p < 1 else None,
        "truncate": call.truncate,
        "watermark": call.watermark or None,
        # TGI's seeds are positive 63-bit integers; positive seeds pass unchanged.
        "seed": None if call.seed is None else (call.seed % _SEEDS or _SEEDS),
        "stop": list(call.stop) or None,
        "top_n_tokens": call.top_logprobs or None,
        "grammar": _grammar_of(call),
    }
    parameters.update((name, value) for name, value in optional.items() if value is not None)
    return parameters


def _grammar_of(call: GenerationCall) -> dict[str, object] | None:
    if call.regex is not None:
        return {"type": "regex", "value": call.regex}
    return None if call.json_schema is None else {"type": "json", "value": call.json_schema}


def fault_of(message: str, *, error_type: str, status: int) -> BackendFault:
    """The fault that TGI's `{"error", "error_type"}` stands for."""
    if error_type == "overloaded" or status == 429:
        return Overloaded(message)
    if error_type in {"validation", "template_error", "missing_template_variable"} or status in {400, 422}:
        return _refusal(message)
    if status == 503 or error_type in {"healthcheck", "unhealthy"}:
        return Unreachable(message, retry_after_seconds=2)
    return Broken(message)


def _refusal(message: str) -> BackendFault:
    if match := _TOO_LONG_IN_ALL.search(message):
        context, prompt, answer = map(int, match.groups())
        return TooLong(message, context_tokens=context, prompt_tokens=prompt, answer_tokens=answer)
    if match := _TOO_LONG_PROMPT.search(message):
        return TooLong(message, context_tokens=int(match[1]), prompt_tokens=int(match[2]))
    if "adapter" in message.lower():
        return UnknownAdapter(message, retry_after_seconds=5)
    return Refused(message)


class TgiStream(EventStream):
    """One generation under way."""

    def _events(self, payload: bytes) -> Sequence[Piece | End]:
        event = orjson.loads(payload)
        if "error" in event:
            raise fault_of(str(event["error"]), error_type=str(event.get("error_type", "")), status=200)
        token, details = event["token"], event.get("details")
        text = token["text"]
        if not isinstance(text, str):
            raise TypeError
        top = tuple(_alternative(one) for one in event.get("top_tokens") or ())
        last = details is not None
        piece = Piece(text, token["special"] is True, token.get("logprob"), top, token.get("id"), last)
        events: list[Piece | End] = [piece]
        if last:
            reason = _REASONS[details["finish_reason"]]
            self.prompt_tokens = int(details["input_length"])
            events.append(End(reason, self.prompt_tokens, int(details["generated_tokens"])))
            self._ended = True
        return events


def _alternative(token: dict[str, Any]) -> Alternative:
    return Alternative(
        str(token["text"]), float(token["logprob"]), token.get("id"), token.get("special") is True
    )


class TgiBackend:
    """A TGI server. Generation uses the thin client; information and health use huggingface_hub's.

    huggingface_hub's `text_generation` can carry `adapter_id`, but it hides the headers of the answer, so who
    answered could not be verified, and it counts nothing when the caller leaves midway.
    """

    def __init__(self, address: BackendAddress, *, key: str, timeouts: Timeouts) -> None:
        self._url, self._timeouts = address.url.rstrip("/"), timeouts
        self._pool = Pool(
            address.url, bearer=key, connect_seconds=timeouts.connect, hang_up_seconds=timeouts.hang_up
        )
        self._hub = AsyncInferenceClient(
            model=self._url, provider="hf-inference", token=key, timeout=timeouts.connect
        )

    async def open(self, call: GenerationCall, begun: Begun = forget) -> TgiStream:
        """Start a generation; see `Backend`. Who answers stands in a header."""
        body = orjson.dumps({"inputs": call.prompt, "parameters": parameters_of(call)})

        streams: list[TgiStream] = []

        def sent(connection: Connection) -> None:
            streams.append(TgiStream(connection, self._timeouts))
            begun(streams[-1])

        connection = await self._post("/generate_stream", body, sent)
        served_by = connection.headers.get(b"x-adapter-id")
        if served_by is not None and call.served_as not in {None, served_by.decode("latin-1")}:
            connection.abort()
            raise OtherModel("The model server says that another model answered.")
        return streams[-1]

    async def count_tokens(self, call: GenerationCall) -> int:
        """Tokens of the prompt by TGI's `/tokenize`, as many of them as are kept."""
        count = len(await self._tokenized(call))
        return count if call.truncate is None else min(count, call.truncate)

    async def tokens(self, call: GenerationCall) -> list[TokenPlace]:
        """The prompt's tokens by TGI's `/tokenize`."""
        try:
            return [
                TokenPlace(int(one["id"]), str(one["text"]), int(one["start"]), int(one["stop"]))
                for one in await self._tokenized(call)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Broken("The model server's tokens cannot be read.") from error

    async def _tokenized(self, call: GenerationCall) -> list[Any]:
        parameters = {"adapter_id": call.adapter_id} if call.adapter_id else {}
        body = orjson.dumps({"inputs": call.prompt, "parameters": parameters})
        connection = await self._post("/tokenize", body)
        answer = await connection.whole(self._timeouts.inter_token)
        try:
            tokens = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise Broken("The model server's count of tokens cannot be read.") from error
        if not isinstance(tokens, list):
            raise Broken("The model server's count of tokens is not a list.")
        return tokens

    async def _post(self, path: str, body: bytes, sent: Sent = nobody_cares) -> Connection:
        connection = await self._pool.post(path, body, timeout_seconds=self._timeouts.first_token, sent=sent)
        if connection.status == 200:
            return connection
        answer = await connection.whole(self._timeouts.inter_token)
        try:
            error: Any = orjson.loads(answer)
            message, kind = str(error["error"]), str(error.get("error_type", ""))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            message, kind = f"The model server answered with status {connection.status}.", ""
        raise fault_of(message, error_type=kind, status=connection.status)

    async def healthy(self) -> bool:
        """TGI's `/health`."""
        try:
            return await self._hub.health_check()
        except Exception:
            return False

    async def describe(self) -> Mapping[str, object]:
        """TGI's `/info`."""
        return await self._hub.get_endpoint_info()

    async def aclose(self, *, at_once: bool = False) -> None:
        """Close every connection; see `Backend`."""
        await self._pool.aclose(at_once=at_once)
        await self._hub.close()  # type: ignore[no-untyped-call]
