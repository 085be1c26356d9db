"""Base models are entered from their folders; a broken folder is refused with a sentence."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from training.registry.errors import BaseModelBroken
from training.registry.folders import describe
from training.registry.services import register_base_models


def write_model(
    folder: Path, *, name: str = "little", template: str = "{{ messages }}", digest: str = "a"
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
            "b": {"dtype": "F32", "shape": [5], "data_offsets": [48, 68]},
        }
    ).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(68))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"content": "</s>"}, "bos_token": None, "chat_template": "{{ messages }}"})
    )
    (folder / "manifest.json").write_text(
        json.dumps(
            {"name": name, "architecture": "LlamaForCausalLM", "context_tokens": 128, "digest": digest * 64}
        )
    )


def test_a_folder_says_what_its_model_is(tmp_path: Path) -> None:
    write_model(tmp_path / "little")
    described = describe(tmp_path / "little")
    assert (described.name, described.parameters, described.context_tokens) == ("little", 17, 128)
    assert (described.eos_token, described.bos_token) == ("</s>", "")
    assert described.chat_template == "{{ messages }}"


def test_a_template_in_a_file_of_its_own_comes_first(tmp_path: Path) -> None:
    write_model(tmp_path / "little")
    (tmp_path / "little" / "chat_template.jinja").write_text("apart")
    assert describe(tmp_path / "little").chat_template == "apart"


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer_config.json", "manifest.json"])
def test_a_broken_folder_is_refused_by_name(tmp_path: Path, lost: str) -> None:
    write_model(tmp_path / "little")
    (tmp_path / "little" / lost).unlink()
    with pytest.raises(BaseModelBroken, match="little"):
        describe(tmp_path / "little")


def test_registering_again_brings_a_row_up_to_date(tmp_path: Path, stores: Any) -> None:
    write_model(tmp_path / "little", name="registered-twice")
    write_model(tmp_path / ".little.partial", name="never-seen")
    [first] = register_base_models(tmp_path)
    write_model(tmp_path / "little", name="registered-twice", digest="b")
    [second] = register_base_models(tmp_path)
    assert (second.pk, second.digest) == (first.pk, "b" * 64)
    second.delete()
