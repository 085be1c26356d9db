"""The order that a recipe gets: `run.json`, read and checked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.recipes.faults import Refused
from training.recipes.hyperparameters import Hyperparameters

_PATHS = ("base_model_dir", "train_file", "validation_file", "work_dir", "resume_from")
_REQUIRED = ("base_model_dir", "train_file", "work_dir")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run. Relative paths are relative to the folder of `run.json`."""

    base_model_dir: Path
    train_file: Path
    validation_file: Path | None
    work_dir: Path
    resume_from: Path | None
    hyperparameters: Hyperparameters
    threads: int | None

    def fingerprint(self, base_digest: str) -> str:
        """Return the hex SHA-256 of all that decides the weights: a checkpoint of another run is none."""
        decisive = asdict(self.hyperparameters)
        decisive.pop("checkpoint_every_steps")
        parts = {"base": base_digest, "hyperparameters": decisive, "rows": _sha256(self.train_file)}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_run(folder: Path) -> Run:
    """Read `folder/run.json`; raise `Refused` (`run_invalid`, `hyperparameter_invalid`)."""
    try:
        raw = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise Refused("run_invalid", "run.json cannot be read as JSON.") from fault
    if not isinstance(raw, dict) or not isinstance(raw.get("hyperparameters"), dict):
        raise Refused("run_invalid", "run.json must be an object with an object hyperparameters.")
    paths = {name: _path(Path(folder), raw, name) for name in _PATHS}
    missing = [name for name in _REQUIRED if paths[name] is None]
    if missing:
        raise Refused("run_invalid", f"run.json lacks {', '.join(missing)}.")
    hyperparameters = Hyperparameters.from_mapping(raw["hyperparameters"])
    return Run(**paths, hyperparameters=hyperparameters, threads=_threads(raw))  # type: ignore[arg-type]


def _path(folder: Path, raw: Mapping[str, Any], name: str) -> Path | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise Refused("run_invalid", f"{name} in run.json must be a path.")
    return folder.absolute() / value


def _threads(raw: Mapping[str, Any]) -> int | None:
    threads = raw.get("threads")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= 1024):
        raise Refused("run_invalid", f"threads is {threads!r}, it must be a whole number from 1 to 1024.")
    return threads


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as fault:
        raise Refused("file_unreadable", f"The file of rows cannot be read: {fault.strerror}.") from fault
