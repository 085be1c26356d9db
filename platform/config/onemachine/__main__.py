"""The one-machine platform's command line: `python -m config.onemachine up|down|status|stores`."""

import argparse
import os
import sys
from pathlib import Path

from config.onemachine import commands
from config.onemachine.faults import CannotStart, sentence_for
from config.onemachine.layout import REPOSITORY

COMMANDS = {
    "up": commands.up,
    "stores": commands.stores,
    "down": commands.down,
    "status": commands.status,
}


def main() -> int:
    """Run one command; faults are one sentence on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m config.onemachine", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    chosen = parser.parse_args().command
    # An empty variable counts as not set: `LOOMWORKS_HOME= make up` must not fill the current folder.
    home = Path(os.environ.get("LOOMWORKS_HOME") or REPOSITORY / "var").expanduser()
    try:
        return COMMANDS[chosen](home, os.environ.get("LOOMWORKS_PORT") or "8000")
    except CannotStart as fault:
        return refuse(str(fault))
    except OSError as fault:
        return refuse(sentence_for(fault))


def refuse(sentence: str) -> int:
    """Say why not."""
    sys.stdout.flush()
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
