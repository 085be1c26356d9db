"""Runs a story of clients for Node, which is JavaScript of the folder `node`."""

import os
import subprocess

from config.onemachine import install
from tests.e2e.conformance.places import Address

STORIES = install.NODE_CLIENTS
TIMEOUT_SECONDS = 120


def run_story(name: str, place: Address) -> None:
    """Fail, with the story's own words, unless all of it holds."""
    install.install_node_clients()
    told = {"BASE_URL": place.v1, "API_KEY": place.api_key, "MODEL": place.model}
    environment, npm = install.node()
    node = npm[0] if len(npm) > 1 else "node"
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", name],
        cwd=STORIES,
        env={**os.environ, **environment, **told},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
