"""Random LoRA adapters with an effect that shows, and the tar that carries one to a pod."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from training.recipes import artifact

_SHAPES = {
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (192, 576),
    "self_attn.v_proj": (192, 576),
    "self_attn.o_proj": (576, 576),
    "mlp.gate_proj": (1536, 576),
    "mlp.up_proj": (1536, 576),
    "mlp.down_proj": (576, 1536),
}
_BLOCKS, _RANK = 30, 4


def make_adapter(folder: Path, seed: int, strength: float = 0.05, modules: tuple[str, ...] = ()) -> str:
    """Write a PEFT LoRA adapter for SmolLM2-135M into `folder` and return its adapter id."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    tensors = {}
    for block in range(_BLOCKS):
        for module in modules or tuple(_SHAPES):
            out, into = _SHAPES[module]
            name = f"base_model.model.model.layers.{block}.{module}"
            tensors[f"{name}.lora_A.weight"] = random.normal(0, into**-0.5, (_RANK, into)).astype(np.float32)
            tensors[f"{name}.lora_B.weight"] = random.normal(0, strength, (out, _RANK)).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    names = sorted(module.split(".")[1] for module in modules or _SHAPES)
    config = {"peft_type": "LORA", "r": _RANK, "lora_alpha": 2 * _RANK, "target_modules": names}
    config |= {"task_type": "CAUSAL_LM", "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return f"adapter-{artifact.digest(folder)}"


def tar_of(folder: Path) -> bytes:
    """Return the body that carries the adapter in `folder`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in artifact.adapter_files(folder):
            tar.add(path, arcname=path.name)
    return buffer.getvalue()
