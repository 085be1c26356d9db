"""A scripted OpenAI-compatible server: TGI's scripts, in the words of vLLM's `/v1/completions`."""

import asyncio
import json
from typing import Any

from tests.inference.gateway.fake_tgi import FakeTgi, Script, Seen

_CODES = {"overloaded": 429, "validation": 400, "generation": 500, "healthcheck": 503}
_FINISH = {"eos_token": "stop", "stop_sequence": "stop", "length": "length"}


class FakeOpenAi(FakeTgi):
    """`async with FakeOpenAi() as server:` then set `server.script`, read `server.seen`."""

    generates_at = "/v1/completions"

    @staticmethod
    def _counted(script: Script) -> object:
        return {"count": script.prompt_tokens, "max_model_len": 2048, "tokens": [1] * script.prompt_tokens}

    @staticmethod
    def _failure(script: Script) -> object:
        error = script.error or {}
        if "error_type" not in error:
            return error
        code = _CODES[error["error_type"]]
        return {"error": {"message": error["error"], "type": "x", "param": None, "code": code}}

    async def _tokens(self, seen: Seen, script: Script, writer: asyncio.StreamWriter) -> bool:
        ending = script.finish == "eos_token"
        texts = [*script.tokens, ""] if ending else script.tokens
        size = script.tokens_per_chunk
        for place in range(0, len(texts), size):
            if script.stall_after == place:
                await asyncio.sleep(3600)
            if script.reset_after == place:
                await writer.drain()
                self._reset(writer)
                return False
            if script.close_after == place or writer.transport.is_closing():
                return False
            seen.emitted = min(place + size, len(texts))
            finish = _FINISH[script.finish] if seen.emitted == len(texts) else None
            chunk = self._completion(seen, script, texts[place : place + size], finish)
            await self._send(writer, self._block(chunk), script.split)
            if script.delay:
                await asyncio.sleep(script.delay)
        if script.usage:
            last = self._head(seen, script) | {"choices": [], "usage": self._usage(seen, script)}
            self._chunk(writer, self._block(last))
        if script.done:
            self._chunk(writer, b"data: [DONE]\n\n")
        self._chunk(writer, b"")
        return True

    @staticmethod
    def _block(document: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"

    @staticmethod
    def _head(seen: Seen, script: Script) -> dict[str, Any]:
        model = script.served_by or seen.body["model"]
        return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model}

    @staticmethod
    def _usage(seen: Seen, script: Script) -> dict[str, int]:
        completion_tokens = script.completion_tokens or seen.emitted
        return {
            "prompt_tokens": script.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": script.prompt_tokens + completion_tokens,
        }

    def _completion(self, seen: Seen, script: Script, texts: list[str], finish: str | None) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "index": 0,
            "text": "".join(texts),
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": None,
        }
        if script.logprobs and seen.body.get("logprobs") is not None:
            # The end token has a log probability, though its text is left out of the answer.
            ending = finish is not None and script.finish == "eos_token"
            choice["logprobs"] = {
                "tokens": [*texts[:-1], "<|im_end|>"] if ending else texts,
                "token_logprobs": [-0.5] * len(texts),
                "top_logprobs": [dict(script.top)] * len(texts) if script.top else None,
                "text_offset": [0] * len(texts),
            }
        chunk = self._head(seen, script) | {"choices": [choice]}
        if script.usage and seen.body.get("stream_options", {}).get("continuous_usage_stats"):
            chunk["usage"] = self._usage(seen, script)
        return chunk
