"""The folders under `LOOMWORKS_HOME`: what lives where, and who may read it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from config.onemachine.faults import CannotStart

REPOSITORY = Path(__file__).resolve().parents[3]
MINIMUM_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Layout:
    """The folders and files of one platform's state."""

    home: Path

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def valkey(self) -> Path:
        return self.home / "valkey"

    @property
    def s3(self) -> Path:
        return self.home / "s3"

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def base_model(self) -> Path:
        return self.models / "smollm2-135m-instruct"

    @property
    def scratch(self) -> Path:
        return self.home / "scratch"

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def keyring(self) -> Path:
        return self.secrets / "keyring.json"

    @property
    def signing_keys(self) -> Path:
        return self.secrets / "signing.json"

    @property
    def demo(self) -> Path:
        return self.home / "demo.json"

    def folders(self) -> tuple[Path, ...]:
        """Every private folder that must exist before a process starts."""
        return (
            self.secrets,
            self.logs,
            self.valkey,
            self.s3,
            self.models,
            self.scratch,
            self.spool,
            self.run,
        )


def prepare(home: Path) -> Layout:
    """Make the folders of a platform, private to who starts it.

    Raises `CannotStart` where the folder cannot be written or the disk is nearly full.
    """
    layout = Layout(home.absolute())
    try:
        layout.home.mkdir(parents=True, exist_ok=True)
        # Started by root, PostgreSQL runs as another user, who must be able to pass through.
        layout.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in layout.folders():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
        probe = layout.run / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as fault:
        raise CannotStart(
            f"The folder {layout.home} cannot be written ({fault.strerror}): "
            "choose another with LOOMWORKS_HOME."
        ) from fault
    free = shutil.disk_usage(layout.home).free
    if free < MINIMUM_FREE_BYTES:
        raise CannotStart(
            f"The disk of {layout.home} is full: {free // 1_000_000} MB are free, "
            f"{MINIMUM_FREE_BYTES // 1_000_000} MB are needed."
        )
    return layout


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
