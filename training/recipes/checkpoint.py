"""Checkpoints: all that a run needs to go on as if it had never stopped. Nothing in them is a pickle."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import peft
import safetensors
import safetensors.torch
import torch

from training.recipes import artifact, lora
from training.recipes.faults import Refused

_FORMAT = 1


@dataclass
class Progress:
    """Where a run is. The step alone fixes the position in the rows and in the learning-rate schedule."""

    step: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    elapsed_seconds: float = 0.0


@dataclass(frozen=True)
class Learner:
    """What a checkpoint saves and restores: the adapted model and its optimizer."""

    model: peft.PeftModel
    optimizer: torch.optim.Optimizer


def save(folder: Path, learner: Learner, progress: Progress, *, fingerprint: str) -> None:
    """Publish a checkpoint as `folder`: adapter/, optimizer.safetensors, random.safetensors, trainer.json."""
    with artifact.publishing(folder) as partial:
        lora.save_adapter(learner.model, partial / "adapter")
        safetensors.torch.save_file(_optimizer_tensors(learner), partial / "optimizer.safetensors")
        safetensors.torch.save_file(_random_states(), partial / "random.safetensors")
        state = {"format": _FORMAT, "fingerprint": fingerprint, **asdict(progress)}
        (partial / "trainer.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        artifact.write_manifest(partial, {"kind": "checkpoint", "step": progress.step})


def restore(folder: Path, learner: Learner, *, fingerprint: str) -> Progress:
    """Put the run back to where `save` saw it and return its progress.

    Raises `Refused`: `checkpoint_corrupt` when a file differs from the manifest or does not fit,
    `checkpoint_mismatch` when it is another run's (other rows, base model or hyperparameters).
    """
    try:
        artifact.verify(folder)
        state = json.loads((folder / "trainer.json").read_text(encoding="utf-8"))
        _require_same_run(state, fingerprint)
        lora.load_adapter(learner.model, folder / "adapter")
        _restore_optimizer(learner, safetensors.torch.load_file(folder / "optimizer.safetensors"))
        _restore_random(safetensors.torch.load_file(folder / "random.safetensors"))
        return Progress(
            step=int(state["step"]),
            tokens=int(state["tokens"]),
            trained_tokens=int(state["trained_tokens"]),
            elapsed_seconds=float(state["elapsed_seconds"]),
        )
    except (artifact.Incomplete, safetensors.SafetensorError, OSError, ValueError, KeyError) as fault:
        reason = str(fault) if isinstance(fault, artifact.Incomplete) else "its files do not fit the run."
        raise Refused("checkpoint_corrupt", f"The checkpoint cannot be used: {reason}") from fault


def _require_same_run(state: Mapping[str, Any], fingerprint: str) -> None:
    if state["format"] != _FORMAT or state["fingerprint"] != fingerprint:
        raise Refused(
            "checkpoint_mismatch",
            "The checkpoint belongs to another run: its rows, base model or hyperparameters differ.",
        )


def _optimizer_tensors(learner: Learner) -> dict[str, torch.Tensor]:
    return {
        f"{name}|{key}": value.detach().to("cpu", copy=True).contiguous()
        for name, parameter in lora.trainable(learner.model).items()
        for key, value in learner.optimizer.state.get(parameter, {}).items()
    }


def _restore_optimizer(learner: Learner, tensors: Mapping[str, torch.Tensor]) -> None:
    parameters = lora.trainable(learner.model)
    for key, tensor in tensors.items():
        name, _, field = key.rpartition("|")
        parameter = parameters[name]
        # AdamW keeps its step counters on the CPU unless it is fused on a GPU.
        device = parameter.device if field != "step" or learner.optimizer.defaults.get("fused") else "cpu"
        learner.optimizer.state[parameter][field] = tensor.to(device)


def _random_states() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_random(states: Mapping[str, torch.Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
