"""What an uploaded adapter may be: two plain files, of which one is a safetensors file that fits the base."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.engine.adapter_archive import unpack
from inference.engine.faults import InvalidAdapter
from inference.engine.lora_files import read_alpha, read_tensors
from inference.engine.lora_gguf import permuted, read_matrix

SHAPES: dict[str, tuple[int, ...]] = {"blk.0.attn_q.weight": (4, 6)}
A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B = A.replace("lora_A", "lora_B")
LIMIT = 1 << 20


def header(**changes: Any) -> dict[str, Any]:
    entries: dict[str, Any] = {
        A: {"dtype": "F32", "shape": [2, 6], "data_offsets": [0, 48]},
        B: {"dtype": "F32", "shape": [4, 2], "data_offsets": [48, 80]},
    }
    return entries | changes


def safetensors(folder: Path, entries: object, body: bytes = bytes(80)) -> Path:
    raw = json.dumps(entries).encode()
    path = folder / "adapter_model.safetensors"
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + body)
    return path


def test_a_fitting_adapter_is_read(tmp_path: Path) -> None:
    tensors = read_tensors(safetensors(tmp_path, header(__metadata__={"format": "pt"})), SHAPES, 2)
    assert [(t.target, t.side, t.shape) for t in tensors] == [
        ("blk.0.attn_q.weight", "A", (2, 6)),
        ("blk.0.attn_q.weight", "B", (4, 2)),
    ]


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({}, "holds no tensors"),
        ([1], "not a safetensors file"),
        (header(**{A: {"dtype": "I64", "shape": [2, 6], "data_offsets": [0, 48]}}), "unknown type"),
        (header(**{A: {"dtype": "F32", "shape": [2, 6], "data_offsets": [0, 44]}}), "do not match"),
        (header(**{A: {"dtype": "F32", "shape": [2, -6], "data_offsets": [0, 48]}}), "do not match"),
        (
            header(**{A: {"dtype": "F32", "shape": [2, 6], "data_offsets": [32, 80]}}),
            "overlap or leave holes",
        ),
        (header(**{A: {"dtype": "F32", "shape": [6, 2], "data_offsets": [0, 48]}}), "the base needs (2, 6)"),
        (header(**{A: "x"}), "damaged entry"),
        ({A: header()[A]}, "not exactly one lora_A and one lora_B"),
        (header(**{"lm_head.weight": header()[A]}), "not a LoRA matrix"),
        (header(**{A.replace("q_proj", "x_proj"): header()[A]}), "not a LoRA matrix"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, entries: object, fault: str) -> None:
    with pytest.raises(InvalidAdapter, match="Adapter refused") as refusal:
        read_tensors(safetensors(tmp_path, entries), SHAPES, 2)
    assert fault in str(refusal.value)


@pytest.mark.parametrize("body", [bytes(79), bytes(81)])
def test_missing_or_extra_bytes_are_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(InvalidAdapter, match="cut short or has something behind"):
        read_tensors(safetensors(tmp_path, header(), body), SHAPES, 2)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle.....", b"PK\x03\x04zip.......", b"\xff" * 64])
def test_pickles_and_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidAdapter, match="not a safetensors file"):
        read_tensors(path, SHAPES, 2)


def config(folder: Path, **changes: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"} | changes))
    return path


def test_the_scale_is_alpha_over_rank_or_over_its_root(tmp_path: Path) -> None:
    assert read_alpha(config(tmp_path)) == (4, 8.0)
    assert read_alpha(config(tmp_path, use_rslora=True)) == (4, 16.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "IA3"},
        {"r": 0},
        {"r": "4"},
        {"lora_alpha": -1},
        {"lora_alpha": None},
        {"use_dora": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 8}},
        {"fan_in_fan_out": True},
    ],
)
def test_anything_but_a_plain_lora_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAdapter):
        read_alpha(config(tmp_path, **changes))


def archive(folder: Path, fill: Callable[[tarfile.TarFile], None], mode: str = "w") -> Path:
    path = folder / "body.tar"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        fill(tar)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content) if kind == tarfile.REGTYPE else 0
    member.type, member.linkname = kind, "/etc/passwd"
    tar.addfile(member, io.BytesIO(content))


def both(tar: tarfile.TarFile) -> None:
    add(tar, "adapter_config.json")
    add(tar, "adapter_model.safetensors", b"weights")


def test_the_two_files_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    unpack(archive(tmp_path, both), tmp_path / "out", LIMIT)
    assert (tmp_path / "out/adapter_model.safetensors").read_bytes() == b"weights"


Member = tuple[str, bytes, bytes]
CONFIG: Member = ("adapter_config.json", b"{}", tarfile.REGTYPE)
WEIGHTS: Member = ("adapter_model.safetensors", b"weights", tarfile.REGTYPE)


@pytest.mark.parametrize(
    "members",
    [
        [CONFIG],
        [CONFIG, CONFIG],
        [CONFIG, WEIGHTS, ("evil.py", b"", tarfile.REGTYPE)],
        [("../adapter_config.json", b"{}", tarfile.REGTYPE), WEIGHTS],
        [("adapter_config.json", b"", tarfile.SYMTYPE), WEIGHTS],
        [("adapter_config.json", b"", tarfile.LNKTYPE), WEIGHTS],
        [("adapter_config.json", b"", tarfile.FIFOTYPE), WEIGHTS],
        [("adapter_config.json", bytes(1 << 17), tarfile.REGTYPE), WEIGHTS],
        [CONFIG, ("adapter_model.safetensors", bytes(LIMIT + 1), tarfile.REGTYPE)],
    ],
)
def test_anything_else_in_the_tar_is_refused(tmp_path: Path, members: list[Member]) -> None:
    (tmp_path / "out").mkdir()

    def fill(tar: tarfile.TarFile) -> None:
        for member in members:
            add(tar, *member)

    with pytest.raises(InvalidAdapter):
        unpack(archive(tmp_path, fill), tmp_path / "out", LIMIT)


@pytest.mark.parametrize("content", [b"", b"not a tar", bytes(2048)])
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "body.tar").write_bytes(content)
    with pytest.raises(InvalidAdapter):
        unpack(tmp_path / "body.tar", tmp_path, LIMIT)


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidAdapter, match="uncompressed tar"):
        unpack(archive(tmp_path, both, "w:gz"), tmp_path, LIMIT)


def test_query_rows_are_interleaved_by_halves_of_each_head() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)
    assert permuted(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = safetensors(tmp_path, header(), np.full(20, np.nan, np.float32).tobytes())
    tensor = read_tensors(path, SHAPES, 2)[0]
    with pytest.raises(InvalidAdapter, match="not finite"):
        read_matrix(np.fromfile(path, np.uint8), tensor)
