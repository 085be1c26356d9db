"""The name of an entry: a keyed hash of everything that changes the answer."""

import hashlib
import hmac
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import orjson

from inference.backends.interface import GenerationCall
from inference.gateway.cache.wishes import is_greedy
from inference.gateway.entries import Deployment

_FORMAT = 1
_FIELDS = tuple((one.name, one.type is float) for one in fields(GenerationCall))


@dataclass(frozen=True)
class Question:
    """What is asked of which model, for which project. `choice` tells the answers of one request apart."""

    project_id: str
    deployment: Deployment
    call: GenerationCall
    choice: int = 0


def name_of(question: Question, lookup: bytes) -> bytes:
    """The 32 bytes under which the answer is kept: HMAC-SHA-256 with the organization's lookup key."""
    return hmac.digest(lookup, canonical(question), "sha256")


def canonical(question: Question) -> bytes:
    """The question as bytes: the same for what asks for the same, whichever surface and words it came by.

    Every field of the call is in it, so that one which is new cannot be forgotten. The order of a JSON Schema
    counts, since the order of its properties is the order in which they are generated.
    """
    deployment, call = question.deployment, question.call
    asked: dict[str, Any] = {
        name: float(getattr(call, name)) + 0.0 if is_float else getattr(call, name)
        for name, is_float in _FIELDS
    }
    if is_greedy(call):
        # Nothing is drawn, so what would steer the drawing changes nothing.
        asked |= {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "typical_p": 1.0, "seed": None}
    asked["stop"] = sorted(set(call.stop))
    asked["logprobs"] = call.logprobs or "logprobs_unasked" in deployment.features
    model = (
        question.project_id,
        deployment.digest,
        deployment.served_as,
        deployment.base_model,
        _digest(deployment.chat_template),
        deployment.policy.digest,
    )
    return orjson.dumps([_FORMAT, model, question.choice, asked], option=orjson.OPT_NON_STR_KEYS)


@lru_cache(maxsize=512)
def _digest(template: str) -> str:
    return hashlib.sha256(template.encode()).hexdigest()
