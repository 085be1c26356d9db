"""The gateway before the real embedded engine: TGI's API through it is the engine's own."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference.engine.pods import KEY, RunningPod, make_model_dir, running_pod
from tests.inference.gateway.house import House, ValkeyServer, deployment, opened

# They start a pod with a real model.
pytestmark = pytest.mark.services

FEATURES = ["grammar", "regex", "top_logprobs"]
PROMPT = "The capital of France is"
ASKED: list[dict[str, Any]] = [
    {"max_new_tokens": 8},
    {"max_new_tokens": 8, "details": True, "top_n_tokens": 3},
    {"max_new_tokens": 8, "details": True, "do_sample": True, "temperature": 0.7, "top_k": 20, "seed": 5},
    {"max_new_tokens": 8, "details": True, "repetition_penalty": 1.3, "return_full_text": True},
    {"max_new_tokens": 20, "details": True, "stop": [" is"]},
    {"max_new_tokens": 12, "details": True, "grammar": {"type": "regex", "value": "[0-9]{4}"}},
    {"max_new_tokens": 3, "details": True, "truncate": 3},
]


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPod]:
    model = make_model_dir(tmp_path_factory.mktemp("models") / "smollm2")
    with running_pod(model, tmp_path_factory.mktemp("state")) as pod:
        yield pod


@pytest.fixture
async def served(pod: RunningPod, valkey_server: ValkeyServer, tmp_path: Path) -> AsyncIterator[House]:
    """A house whose model is the pod's base."""
    answer = pod.client.post("/generate", json={"inputs": "x", "parameters": {"max_new_tokens": 1}})
    digest = answer.headers["x-adapter-id"].removeprefix("base-")
    async with opened(valkey_server, tmp_path, pod_key=KEY) as house:
        backend = {"kind": "tgi", "url": pod.url, "features": FEATURES}
        await house.publisher.project(
            house.tenant, deployment(pod.url, adapter_id=None, digest=digest, backends=[backend])
        )
        yield house


@pytest.mark.parametrize("parameters", ASKED)
async def test_an_answer_through_the_gateway_is_the_engines_own(
    pod: RunningPod, served: House, parameters: dict[str, Any]
) -> None:
    own = pod.generate(PROMPT, **parameters)
    through = (await served.native(inputs=PROMPT, parameters=parameters)).json()
    if "details" in own:
        # Told by this engine beyond what TGI tells.
        del own["details"]["input_length"]
    assert through == rounded(own)
    streamed = await served.native("/generate_stream", inputs=PROMPT, parameters=parameters)
    events = [json.loads(line[5:]) for line in streamed.text.splitlines() if line.startswith("data:")]
    assert events == rounded(pod.stream(PROMPT, **parameters))


def rounded(value: Any) -> Any:
    """Two runs of one computation differ in the last digits of their log probabilities."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return pytest.approx(value, abs=1e-3) if isinstance(value, float) else value


async def test_a_text_is_tokenized_as_the_engine_does(pod: RunningPod, served: House) -> None:
    own = pod.client.post("/tokenize", json={"inputs": PROMPT}).json()
    assert (await served.native("/tokenize", inputs=PROMPT)).json() == own


async def test_completions_and_json_come_from_the_same_model(pod: RunningPod, served: House) -> None:
    own = pod.generate(PROMPT, max_new_tokens=6)["generated_text"]
    body = (await served.complete(prompt=PROMPT, max_tokens=6, temperature=0, n=2, logprobs=2)).json()
    assert [choice["text"] for choice in body["choices"]] == [own, own]
    assert "".join(body["choices"][0]["logprobs"]["tokens"]) == own
    assert body["usage"]["completion_tokens"] == 12
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 9}}}
    schema |= {"required": ["city"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    chat = (await served.chat(response_format=wanted, max_tokens=60, temperature=0)).json()
    assert set(json.loads(chat["choices"][0]["message"]["content"])) == {"city"}
