"""The folder `platform/` never shadows the standard library, and our packages come from this repository."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = {
    "config": "platform/config",
    "kernel": "platform/kernel",
    "tenants": "tenants",
    "training": "training",
    "inference": "inference",
}


def test_the_platform_folder_is_no_package() -> None:
    assert not (REPOSITORY / "platform" / "__init__.py").exists()


def test_importing_platform_from_the_repository_gives_the_standard_library() -> None:
    program = "import platform; print(platform.__file__); print(platform.system())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    file, system = done.stdout.split()
    assert not Path(file).is_relative_to(REPOSITORY)
    assert system


@pytest.mark.parametrize(("package", "folder"), PACKAGES.items())
def test_our_packages_resolve_inside_the_repository(package: str, folder: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == REPOSITORY / folder


def test_the_one_machine_supervisor_needs_neither_django_nor_torch() -> None:
    program = (
        "import sys; import config.onemachine.__main__;"
        "print([name for name in ('django', 'celery', 'torch', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
