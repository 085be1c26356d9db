"""Child program: a checked PEFT LoRA adapter written as the GGUF adapter that llama.cpp loads.

A process of its own, so that numpy never lives in the pod's front process. It reads one JSON line
`{"adapter": folder, "output": file, "tensors": {name: shape}, "heads": n, "kv_heads": n}` on stdin.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFWriter

from inference.engine.faults import InvalidAdapter
from inference.engine.lora_files import LoraTensor, read_alpha, read_tensors

Matrix = npt.NDArray[np.float32]


def convert(task: dict[str, Any]) -> None:
    """Write `task["output"]`; raise `InvalidAdapter` when the adapter does not fit the base."""
    folder = Path(task["adapter"])
    rank, alpha = read_alpha(folder / "adapter_config.json")
    path = folder / "adapter_model.safetensors"
    tensors = read_tensors(path, {name: tuple(shape) for name, shape in task["tensors"].items()}, rank)
    writer = GGUFWriter(task["output"], "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    content = np.memmap(path, dtype=np.uint8, mode="r")
    for tensor in tensors:
        matrix = read_matrix(content, tensor)
        if tensor.side == "B" and ".attn_q." in tensor.target:
            matrix = permuted(matrix, task["heads"])
        if tensor.side == "B" and ".attn_k." in tensor.target:
            matrix = permuted(matrix, task["kv_heads"])
        writer.add_tensor(f"{tensor.target}.lora_{tensor.side.lower()}", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_matrix(content: npt.NDArray[np.uint8], tensor: LoraTensor) -> Matrix:
    """Return one matrix as float32; raise `InvalidAdapter` when a value is not finite."""
    raw = content[tensor.begin : tensor.begin + tensor.size].tobytes()
    if tensor.dtype == "BF16":
        # A bfloat16 is the upper half of a float32.
        values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(raw, "<f2" if tensor.dtype == "F16" else "<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise InvalidAdapter(f"lora_{tensor.side} of `{tensor.target}` holds values that are not finite")
    return values.reshape(tensor.shape)


def permuted(rows: Matrix, heads: int) -> Matrix:
    """Return `rows` in the order in which llama.cpp keeps query and key rows for its rotary embedding.

    As `LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py: halves of each head interleaved.
    """
    out, into = rows.shape
    halves = rows.reshape(heads, 2, out // heads // 2, into)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(out, into))


def main() -> int:
    """Convert; on a refused adapter print why on stdout and return 3."""
    try:
        convert(json.loads(sys.stdin.readline()))
    except InvalidAdapter as fault:
        sys.stdout.write(str(fault).removeprefix(InvalidAdapter.prefix))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
