"""Nothing in the repository speaks of the machine or the process that it was written with."""

import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Put together here, so that this file does not contain what it looks for.
FORBIDDEN = (
    "/wo" + r"rk/(?:main|shared)",
    "/op" + "t/(?:wheels|pypi)",
    "/tm" + "p/lab",
    "CL" + r"AUDE\.md",
    "sub" + "agent",
    r"\bTO" + "DO\\b",
    r"\bFIX" + "ME\\b",
)
PATTERN = re.compile("|".join(FORBIDDEN))
BINARY_OR_GENERATED = {".png", ".woff2", ".ico", ".gz", ".jsonl"}


def tracked_files() -> list[Path]:
    """What git carries; every file of the folder where it is no checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    names = [name for name in listed.stdout.split("\0") if name]
    return [REPOSITORY / name for name in names if not name.endswith("-lock.json")]


def test_no_file_names_the_place_where_it_was_written() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in tracked_files()
        if path.is_file() and path.suffix not in BINARY_OR_GENERATED
        for match in PATTERN.finditer(path.read_text(errors="replace"))
    ]
    assert found == []
