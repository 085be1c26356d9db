"""When the base model cannot be made, one sentence says why; a half one never counts."""

import dataclasses
import errno
from pathlib import Path
from typing import Any

import pytest
import safetensors

from training.recipes import artifact, base_model


def refuse(fault: Exception) -> Any:
    def raising(*_args: object) -> None:
        raise fault

    return raising


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    source = dataclasses.replace(base_model.SMOLLM2, wheel="no-such-wheel")
    with pytest.raises(base_model.Unavailable, match=r"no-such-wheel.*is not installed"):
        base_model.prepare(tmp_path / "base", source)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left"), "is full"),
        (PermissionError(errno.EACCES, "denied"), "cannot be written"),
        (OSError(errno.EROFS, "read-only"), "cannot be written"),
        (safetensors.SafetensorError("I/O error"), "could not be written"),
    ],
)
def test_faults_while_writing_become_a_sentence_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, sentence: str
) -> None:
    monkeypatch.setattr(base_model, "_save_tokenizer", refuse(fault))
    with pytest.raises(base_model.Unavailable, match=sentence):
        base_model.prepare(tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_noticed_before_the_work(tmp_path: Path) -> None:
    source = dataclasses.replace(base_model.SMOLLM2, needed_bytes=10**18)
    with pytest.raises(base_model.Unavailable, match=r"needs .* MB"):
        base_model.prepare(tmp_path / "base", source)


def test_a_whole_folder_is_verified_and_returned_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "base"
    output.mkdir()
    (output / "weights").write_text("w")
    manifest = artifact.write_manifest(output, {"name": base_model.SMOLLM2.name})
    monkeypatch.setattr(base_model, "_convert", refuse(AssertionError("converted again")))
    assert base_model.prepare(output) == manifest


def test_a_damaged_folder_is_refused_and_the_exit_code_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "base"
    output.mkdir()
    (output / "weights").write_text("w")
    artifact.write_manifest(output, {"name": base_model.SMOLLM2.name})
    (output / "weights").write_text("v")
    assert base_model.main(["--output", str(output)]) == 1
    assert "Remove it first" in caplog.text
