"""Run a `manage.py` command against the platform that runs in the folder.

`python -m config.onemachine.manage create_organization "Acme" owner@acme.example`
"""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from config.onemachine import credentials, environment, layout
from config.onemachine.environment import Place
from config.onemachine.faults import CannotStart
from config.onemachine.lock import Lock
from config.onemachine.ports import Ports


def main(arguments: list[str]) -> None:
    """Become the command; says so when nothing runs in the folder."""
    home = Path(os.environ.get("LOOMWORKS_HOME") or layout.REPOSITORY / "var").expanduser()
    try:
        variables = {**os.environ, **environment.application(running(home))}
    except CannotStart as fault:
        sys.exit(str(fault))
    command = [sys.executable, str(layout.REPOSITORY / "manage.py"), *arguments]
    os.execve(sys.executable, command, variables)  # noqa: S606


def running(home: Path) -> Place:
    """The platform that runs in the folder; raises `CannotStart` when none does."""
    holder = Lock(home.absolute() / "run").holder()
    if holder is None:
        raise CannotStart("Loomworks is not running here; start it with `make up`.")
    folders = layout.prepare(home)
    port = urlsplit(holder.url).port or 80
    return Place(folders, Ports(port), credentials.load(folders.secrets))


if __name__ == "__main__":
    main(sys.argv[1:])
