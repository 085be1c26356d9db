"""Make both torch locks from one compiled listing: the CUDA build as it stands, the CPU build without CUDA.

Reads a `uv pip compile --generate-hashes` listing of torch on standard input and writes
`torch-cuda.txt` and `torch-cpu.txt` beside this file. The hashes of the CPU builds, which are
published outside the package index, are read from `torch-cpu-hashes.txt`.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
CUDA_ONLY = ("nvidia-", "cuda-", "triton")
HEADER = "# Made by `make lock`.\n"


def entries(listing: str) -> list[str]:
    """The listing's requirements, each with its hash lines, comments dropped."""
    found: list[str] = []
    for line in listing.splitlines():
        if not line or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found


def cpu_entry(torch_entry: str) -> str:
    """The requirement on the CPU build of the same version, with its own hashes."""
    version = torch_entry.split(maxsplit=1)[0]
    hashes = [
        line.split()[0]
        for line in (HERE / "torch-cpu-hashes.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return " \\\n    ".join([f"{version}+cpu", *(f"--hash=sha256:{sha}" for sha in hashes)])


def main() -> None:
    """Write both locks."""
    cuda = entries(sys.stdin.read())
    cpu = [
        cpu_entry(entry) if entry.startswith("torch==") else entry
        for entry in cuda
        if not entry.startswith(CUDA_ONLY)
    ]
    (HERE / "torch-cuda.txt").write_text(HEADER + "\n".join(cuda) + "\n")
    (HERE / "torch-cpu.txt").write_text(HEADER + "\n".join(cpu) + "\n")


if __name__ == "__main__":
    main()
