"""Every benchmark, and the page that shows them: `make bench`."""

import datetime
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.figures import REPOSITORY, kept, machine, table

NAMES = ("stack", "gateway", "routing", "cache", "streams", "trust", "access", "usage")
PAGE: Path = REPOSITORY / "docs" / "benchmarks.md"
WORDS = """# Benchmarks

Written by `make bench` on {date}, on {machine}. Machines are noisy: the ratios, taken in one run, say more
than the absolute figures. A goal that was missed stays here.

## The stack

{stack}
## The gateway beside others, over the same models

{gateway}
## Where requests go, in simulated time and over HTTP

{routing}
## Answers that were kept

{cache}
## Encrypted streams

{streams}
## Trust

{trust}
## Who may do what

{access}
## Usage, as records grow

{usage}"""


def measured(name: str) -> str:
    """The table of one benchmark, run in a process of its own: what one holds must not burden the next."""
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
    return table(kept(name))


def main() -> None:
    """Run all, then write the page."""
    tables = {name: measured(name) for name in NAMES}
    today = datetime.datetime.now(datetime.UTC).date()
    PAGE.write_text(WORDS.format(**tables, date=today, machine=machine()))


if __name__ == "__main__":
    main()
