"""The probe after each load: does the instance answer as its adapter would, or as the bare base?"""

import json
from typing import Any

from inference.engine import wire
from inference.engine.adapters import DIFFERENT, IDENTICAL
from inference.engine.faults import GenerationFailed
from inference.engine.instances import Instance

_PROMPT = "The quick brown fox asked: what is the first thing that you would say to a friend?"
_CANDIDATES = 10
_TOLERANCE = 1e-4


async def effect_of(instance: Instance) -> str:
    """Return whether the loaded adapter changes the next token's log-probabilities on a fixed prompt.

    One instance answers both times, once with the adapter's scale at 0, so that nothing else differs.
    """
    with_adapter = await _logprobs(instance, 1.0)
    without = await _logprobs(instance, 0.0)
    same = with_adapter.keys() == without.keys() and all(
        abs(with_adapter[i] - without[i]) < _TOLERANCE for i in without
    )
    return IDENTICAL if same else DIFFERENT


async def _logprobs(instance: Instance, scale: float) -> dict[int, float]:
    payload: dict[str, Any] = {
        "prompt": _PROMPT,
        "n_predict": 1,
        "n_probs": _CANDIDATES,
        "temperature": 0.0,
        "cache_prompt": False,
        "lora": [{"id": 0, "scale": scale}],
    }
    try:
        async with wire.post(instance.plan.socket, "/completion", instance.plan.key, payload) as reply:
            answer = json.loads(await reply.read())
            first = answer["completion_probabilities"][0]
    except (wire.Disconnected, KeyError, IndexError, ValueError) as fault:
        raise GenerationFailed(f"the instance of {instance.identity} does not answer") from fault
    return {candidate["id"]: candidate["logprob"] for candidate in first["top_logprobs"]}
