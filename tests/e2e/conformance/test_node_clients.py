"""OpenAI's client for Node and Vercel's AI SDK; the stories themselves are JavaScript, in `node`."""

import os
import subprocess
from pathlib import Path

import pytest

from config.onemachine import install
from tests.e2e.conformance.places import Place

STORIES = install.NODE_CLIENTS
TIMEOUT_SECONDS = 60


@pytest.mark.parametrize("story", sorted(path.name for path in STORIES.glob("*.test.mjs")))
def test_a_client_for_node_does_what_its_users_expect(scripted: Place, story: str) -> None:
    install.install_node_clients()
    environment, npm = install.node()
    node = npm[0] if len(npm) > 1 else "node"
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", Path(story)],
        cwd=STORIES,
        env={**os.environ, **environment, "BASE_URL": scripted.v1, "API_KEY": scripted.api_key},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
