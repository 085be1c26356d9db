"""Every benchmark, and the page that shows them: `make bench`."""

import datetime
import json
import os
from pathlib import Path

from tests.benchmarks import gateway, stack
from tests.benchmarks.figures import REPOSITORY, Figure, machine, table

PAGE = REPOSITORY / "docs" / "benchmarks.md"
WORDS = """# Benchmarks

Written by `make bench` on {date}, on {machine}. Machines are noisy: the ratios, taken in one run, say more
than the absolute figures. A goal that was missed stays here.

## The stack

{stack}
## The gateway, before a scripted model server

{gateway}"""


def main() -> None:
    """Run all, then write the page."""
    stack_figures = stack.main()
    gateway.main()
    home = Path(os.environ.get("LOOMWORKS_HOME") or REPOSITORY / "var")
    kept = json.loads((home / "bench" / "gateway.json").read_text())
    PAGE.write_text(
        WORDS.format(
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=machine(),
            stack=table(stack_figures),
            gateway=table([Figure(**figure) for figure in kept]),
        )
    )


if __name__ == "__main__":
    main()
