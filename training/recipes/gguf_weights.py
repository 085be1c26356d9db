"""Rewrite a quantized GGUF with the very weights that training sees, in half precision.

llama.cpp multiplies quantized weights with activations rounded to eight bits. Small models do not bear
that: SmolLM2-135M, asked in Q4_1 or Q8_0 for the capital of France, answers in broken French, and in
half precision, as fast on a CPU, with Paris.
"""

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quants


def write_half_precision(source: Path, target: Path) -> None:
    """Copy a GGUF, its matrices as float16 of their bfloat16 values; vectors stay float32."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = gguf.LlamaFileType.MOSTLY_F16 if name == "general.file_type" else field.contents()
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=element)
    for tensor in reader.tensors:
        values = quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = values.reshape([int(size) for size in reversed(tensor.shape)])
        if values.ndim == 1:
            writer.add_tensor(tensor.name, values)
        else:
            half = quants.quantize(_as_trained(values), GGMLQuantizationType.F16)
            writer.add_tensor(tensor.name, half, raw_dtype=GGMLQuantizationType.F16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _as_trained(values: np.ndarray) -> np.ndarray:
    """Rounded to bfloat16, in which the recipe loads the base."""
    rounded = quants.quantize(values, GGMLQuantizationType.BF16)
    return quants.dequantize(rounded, GGMLQuantizationType.BF16)
