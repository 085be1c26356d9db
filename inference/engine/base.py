"""The base model a pod serves: its folder checked, its facts read once."""

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.faults import CannotStart
from training.recipes import artifact


@dataclass(frozen=True)
class Vocabulary:
    """What turns token ids into text: control tokens, tokens that end a text, tokens of partial UTF-8."""

    special: dict[int, str]
    end_ids: frozenset[int]
    fragments: dict[int, bytes]


@dataclass(frozen=True)
class Base:
    """One verified base model."""

    name: str
    digest: str
    gguf: Path
    architecture: str
    context_tokens: int
    blocks: int
    heads: int
    kv_heads: int
    chat_template: str | None
    bos_token: str
    eos_token: str
    vocabulary: Vocabulary
    tensors: dict[str, tuple[int, ...]]

    @property
    def identity(self) -> str:
        return f"base-{self.digest}"


def load(folder: Path, cache: Path) -> Base:
    """Verify the model folder against its manifest and return what it holds.

    What the GGUF says takes seconds to read: it is kept in the private folder `cache`, by digest.

    Raises `CannotStart`, with one sentence, when the folder is missing, incomplete or damaged.
    """
    if not folder.is_dir():
        raise CannotStart(f"The model folder {folder} does not exist.")
    try:
        manifest = artifact.verify(folder)
    except artifact.Incomplete as fault:
        raise CannotStart(f"The model folder {folder} is damaged: {fault}") from fault
    gguf = folder / "base.gguf"
    if not gguf.is_file():
        raise CannotStart(f"The model folder {folder} has no base.gguf.")
    return _base(folder, manifest, _kept_facts(gguf, cache / f"facts-{manifest['digest']}.json"))


def _base(folder: Path, manifest: dict[str, Any], facts: dict[str, Any]) -> Base:
    vocabulary = Vocabulary(
        special={int(i): text for i, text in facts["special"].items()},
        end_ids=frozenset(facts["end_ids"]),
        fragments={int(i): bytes.fromhex(text) for i, text in facts["fragments"].items()},
    )
    template = folder / "chat_template.jinja"
    return Base(
        name=str(manifest.get("name", folder.name)),
        digest=str(manifest["digest"]),
        gguf=folder / "base.gguf",
        chat_template=template.read_text("utf-8") if template.is_file() else facts["chat_template"],
        vocabulary=vocabulary,
        tensors={name: tuple(shape) for name, shape in facts["tensors"].items()},
        **{name: facts[name] for name in _PLAIN_FACTS},
    )


_PLAIN_FACTS = ("architecture", "context_tokens", "blocks", "heads", "kv_heads", "bos_token", "eos_token")
# Raise it when gguf_facts tells more or otherwise.
_FACTS_VERSION = 1


def _kept_facts(gguf: Path, kept: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads(kept.read_bytes())
        if facts.get("version") == _FACTS_VERSION:
            return dict(facts)
    facts = _facts(gguf) | {"version": _FACTS_VERSION}
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(facts), encoding="utf-8")
    partial.rename(kept)
    return facts


def _facts(gguf: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "inference.engine.gguf_facts", str(gguf)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own module
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
        raise CannotStart(f"The file {gguf} cannot be read as GGUF: {reason[0]}.")
    facts = json.loads(done.stdout)
    if facts["architecture"] != "llama":
        raise CannotStart(f"The base model's architecture {facts['architecture']} is not served; llama is.")
    return dict(facts)
