"""Every benchmark, and the page that shows them: `make bench`."""

import datetime
from pathlib import Path

from tests.benchmarks import access, cache, gateway, stack, streams, trust
from tests.benchmarks.figures import REPOSITORY, machine, table

PAGE: Path = REPOSITORY / "docs" / "benchmarks.md"
WORDS = """# Benchmarks

Written by `make bench` on {date}, on {machine}. Machines are noisy: the ratios, taken in one run, say more
than the absolute figures. A goal that was missed stays here.

## The stack

{stack}
## The gateway, before a scripted model server

{gateway}
## Answers that were kept

{cache}
## Encrypted streams

{streams}
## Trust

{trust}
## Who may do what

{access}"""


def main() -> None:
    """Run all, then write the page."""
    PAGE.write_text(
        WORDS.format(
            stack=table(stack.main()),
            gateway=table(gateway.main()),
            cache=table(cache.main()),
            streams=table(streams.main()),
            trust=table(trust.main()),
            access=table(access.main()),
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=machine(),
        )
    )


if __name__ == "__main__":
    main()
