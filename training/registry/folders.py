"""What the folder of a base model says of itself: read without torch and without transformers."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.registry.errors import BaseModelBroken


@dataclass(frozen=True)
class Described:
    """A base model as its folder describes it; `bos_token` is empty where the model has none."""

    name: str
    architecture: str
    parameters: int
    context_tokens: int
    digest: str
    folder: str
    chat_template: str
    eos_token: str
    bos_token: str


def describe(folder: Path) -> Described:
    """Read a base model's folder in Hugging Face's form. Raises `BaseModelBroken`."""
    try:
        manifest = _json(folder / "manifest.json")
        tokenizer = _json(folder / "tokenizer_config.json")
        return Described(
            name=manifest["name"],
            architecture=manifest["architecture"],
            parameters=count_parameters(folder),
            context_tokens=int(manifest["context_tokens"]),
            digest=manifest["digest"],
            folder=folder.name,
            chat_template=_chat_template(folder, tokenizer),
            eos_token=_token(tokenizer["eos_token"]),
            bos_token=_token(tokenizer.get("bos_token")),
        )
    except (OSError, ValueError, KeyError, TypeError, struct.error) as fault:
        raise BaseModelBroken(
            f"The base model in {folder} cannot be read ({type(fault).__name__}: {fault}); "
            "remove the folder and start again to make it anew."
        ) from fault


def count_parameters(folder: Path) -> int:
    """How many numbers the weights have, from the headers of the safetensors files."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError("no *.safetensors")
    return sum(_count(path) for path in weights)


def _count(path: Path) -> int:
    # https://github.com/huggingface/safetensors#format: 8 bytes of length, then a JSON header.
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _chat_template(folder: Path, tokenizer: dict[str, Any]) -> str:
    apart = folder / "chat_template.jinja"
    template = apart.read_text(encoding="utf-8") if apart.is_file() else tokenizer["chat_template"]
    if not isinstance(template, str):
        raise TypeError("the chat template is not one text")
    return template


def _token(entry: Any) -> str:
    # Older tokenizers write a token as an object with its properties.
    return str(entry["content"] if isinstance(entry, dict) else entry or "")


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
