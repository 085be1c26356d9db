"""A base model small enough to train in a second: random weights, a byte-level tokenizer, ChatML."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers

from training.recipes import artifact
from training.recipes.hyperparameters import defaults
from training.recipes.run_file import Run, read_run

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Bytes and a few merges (two newlines are one token, as in real vocabularies)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    merges = [("Ċ", "Ċ"), ("Ġ", "Ġ"), ("a", "n"), ("Ġ", "a")]
    names = specials + alphabet + ["".join(pair) for pair in merges]
    backend = tokenizers.Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(specials)
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        bos_token="<|im_start|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
        chat_template=CHATML,
    )


@pytest.fixture(scope="session")
def tiny_base(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete base-model folder with a manifest."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    with artifact.publishing(folder) as partial:
        tokenizer.save_pretrained(partial)
        torch.manual_seed(7)
        config = transformers.LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            tie_word_embeddings=True,
        )
        transformers.LlamaForCausalLM(config).save_pretrained(partial)
        artifact.write_manifest(partial, {"name": "tiny"})
    return folder


def conversation(*turns: str, system: str | None = None, weights: Sequence[int] = ()) -> dict[str, Any]:
    """A row of alternating user and assistant turns."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for index, content in enumerate(turns):
        messages.append({"role": ("user", "assistant")[index % 2], "content": content})
    for message, weight in zip([m for m in messages if m["role"] == "assistant"], weights, strict=False):
        message["weight"] = weight
    return {"messages": messages}


@pytest.fixture
def sums() -> list[dict[str, Any]]:
    """Eleven rows of different length: the last batch of an epoch is a partial one."""
    return [conversation(f"{n} + {n}?", f"It is {2 * n}." + " Yes." * (n % 4)) for n in range(11)]


@pytest.fixture
def order_run(tmp_path: Path, tiny_base: Path, sums: list[dict[str, Any]]) -> Callable[..., Run]:
    """Writes a run folder and reads it back; keyword arguments change run.json or the hyperparameters."""

    def order(
        name: str = "run", rows: Sequence[dict[str, Any]] = sums, validate: bool = False, **changes: Any
    ) -> Run:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "train.jsonl").write_text(text, encoding="utf-8")
        settings = {**defaults(11), "n_epochs": 2, "batch_size": 4, "max_tokens": 200, "lora_dropout": 0.1}
        settings["checkpoint_every_steps"] = 2
        raw: dict[str, Any] = {
            "base_model_dir": str(tiny_base),
            "train_file": "train.jsonl",
            "validation_file": "train.jsonl" if validate else None,
            "work_dir": "work",
            "resume_from": None,
            "hyperparameters": settings,
            "threads": 1,
        }
        for key, value in changes.items():
            (raw if key in raw else settings)[key] = value
        (folder / "run.json").write_text(json.dumps(raw), encoding="utf-8")
        return read_run(folder)

    return order
