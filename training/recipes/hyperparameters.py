"""Hyperparameters of supervised fine-tuning: what may be set, within which bounds, and good defaults."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.recipes.faults import Refused


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Every knob of `sft`. Raises `Refused` (`hyperparameter_invalid`) on a value out of its range."""

    n_epochs: int
    batch_size: int
    learning_rate: float
    lora_rank: int
    lora_alpha: float
    lora_dropout: float
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    seed: int
    max_tokens: int
    checkpoint_every_steps: int

    def __post_init__(self) -> None:
        problems = [_problem(field.name, getattr(self, field.name)) for field in dataclasses.fields(self)]
        if any(problems):
            raise Refused("hyperparameter_invalid", " ".join(filter(None, problems)))

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> "Hyperparameters":
        """Build from a JSON object that has exactly these names; raise `Refused` otherwise."""
        names = {field.name for field in dataclasses.fields(cls)}
        missing, unknown = sorted(names - raw.keys()), sorted(raw.keys() - names)
        if missing or unknown:
            parts = [f"{name} is missing." for name in missing] + [f"{name} is unknown." for name in unknown]
            raise Refused("hyperparameter_invalid", " ".join(parts))
        return cls(**raw)


@dataclass(frozen=True)
class _Range:
    kind: type
    lowest: float
    highest: float

    def __str__(self) -> str:
        noun = "a whole number" if self.kind is int else "a number"
        return f"{noun} from {self.lowest:g} to {self.highest:g}"


RANGES: Mapping[str, _Range] = {
    "n_epochs": _Range(int, 1, 50),
    "batch_size": _Range(int, 1, 1024),
    "learning_rate": _Range(float, 1e-8, 0.1),
    "lora_rank": _Range(int, 1, 256),
    "lora_alpha": _Range(float, 0.01, 1024),
    "lora_dropout": _Range(float, 0, 0.9),
    "warmup_ratio": _Range(float, 0, 1),
    "weight_decay": _Range(float, 0, 1),
    "max_grad_norm": _Range(float, 1e-3, 1000),
    "seed": _Range(int, 0, 2**31 - 1),
    "max_tokens": _Range(int, 8, 131072),
    "checkpoint_every_steps": _Range(int, 1, 1_000_000),
}


def defaults(rows: int) -> dict[str, Any]:
    """Return hyperparameters that suit `rows` training rows, as the mapping `run.json` wants.

    Few rows need more passes, many rows larger batches; at most ten checkpoints beside the epochs' ends.
    """
    batch_size = 8 if rows < 2_000 else 16 if rows < 20_000 else 32
    n_epochs = min(10, max(1, math.ceil(300 / max(rows, 1))))
    steps = math.ceil(max(rows, 1) / batch_size) * n_epochs
    return {
        "n_epochs": n_epochs,
        "batch_size": batch_size,
        "learning_rate": 1e-3,
        "lora_rank": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "warmup_ratio": 0.1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": 0,
        "max_tokens": 2048,
        "checkpoint_every_steps": max(20, math.ceil(steps / 10)),
    }


def _problem(name: str, value: Any) -> str | None:
    allowed = RANGES[name]
    accepted = (int,) if allowed.kind is int else (int, float)
    fits = isinstance(value, accepted) and not isinstance(value, bool)
    if fits and allowed.lowest <= value <= allowed.highest:
        return None
    return f"{name} is {value!r}, it must be {allowed}."
