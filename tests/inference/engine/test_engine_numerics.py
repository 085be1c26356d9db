"""An adapter shifts the engine's log-probabilities as it shifts those of transformers with peft."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from inference.engine import base, lora_gguf, wire
from inference.engine.instances import Launcher
from tests.inference.engine.lora_maker import make_adapter

PROMPT = "The capital of France is the city of lights, and the capital of Italy is"
REFERENCE = Path(__file__).with_name("peft_logprobs.py")
Vector = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def whole_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "smollm2"
    command = [sys.executable, "-m", "training.recipes.base_model", "--output", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def base_reference(whole_model_dir: Path) -> Vector:
    return reference(whole_model_dir, "-")


def reference(model_dir: Path, adapter: str) -> Vector:
    command = [sys.executable, str(REFERENCE), str(model_dir), adapter]
    done = subprocess.run(command, input=PROMPT.encode(), capture_output=True, check=True)
    return np.array(json.loads(done.stdout))


async def engine(model: base.Base, run_dir: Path, adapter: Path | None) -> dict[int, float]:
    launcher = Launcher(model.gguf, run_dir, 512, 1, 1, 60.0)
    instance = await launcher.start("under test", adapter)
    payload: dict[str, Any] = {"prompt": PROMPT, "n_predict": 1, "n_probs": 2000, "temperature": 0}
    try:
        async with wire.post(instance.plan.socket, "/completion", instance.plan.key, payload) as reply:
            answer = json.loads(await reply.read())
    finally:
        await instance.stop()
    return {c["id"]: c["logprob"] for c in answer["completion_probabilities"][0]["top_logprobs"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "strength"),
    [
        (("self_attn.q_proj",), 0.3),
        (("self_attn.k_proj",), 0.3),
        (("self_attn.v_proj", "self_attn.o_proj"), 0.15),
        (("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"), 0.1),
    ],
    ids=["queries", "keys", "values and outputs", "feed forward"],
)
async def test_the_engine_applies_an_adapter_as_peft_does(
    whole_model_dir: Path, base_reference: Vector, tmp_path: Path, modules: tuple[str, ...], strength: float
) -> None:
    model = base.load(whole_model_dir, tmp_path)
    make_adapter(tmp_path / "adapter", 7, strength, modules)
    gguf = tmp_path / "adapter.gguf"
    task: dict[str, Any] = {"adapter": str(tmp_path / "adapter"), "output": str(gguf)}
    task |= {"tensors": model.tensors, "heads": model.heads, "kv_heads": model.kv_heads}
    lora_gguf.convert(task)
    expected = reference(whole_model_dir, str(tmp_path / "adapter")) - base_reference
    plain, adapted = await engine(model, tmp_path, None), await engine(model, tmp_path, gguf)
    both = sorted(plain.keys() & adapted.keys())
    shift = np.array([adapted[i] - plain[i] for i in both])
    # The base is quantized to four bits, so the shifts agree closely but not exactly.
    assert np.corrcoef(shift, expected[both])[0, 1] > 0.9
    assert shift.std() == pytest.approx(expected[both].std(), rel=0.25)
