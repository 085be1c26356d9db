"""Run a command that loads the settings but needs no service: `with_environment COMMAND…`.

The type checker's Django plugin, `makemigrations` and the OpenAPI schema are such commands. The
environment points at a folder that is gone afterwards, and at ports where nobody listens.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from config.onemachine import credentials, environment, layout
from config.onemachine.environment import Place
from config.onemachine.ports import Ports

UNUSED_PORT = 8000


def main(command: list[str]) -> int:
    """The command's exit code."""
    with tempfile.TemporaryDirectory(prefix="loomworks-settings-") as home:
        folders = layout.prepare(Path(home))
        place = Place(folders, Ports(UNUSED_PORT), credentials.load(folders.secrets))
        variables = {**os.environ, **environment.application(place)}
        return subprocess.run(command, check=False, env=variables).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
