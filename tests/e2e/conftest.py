"""What end-to-end stories share."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture(scope="session")
def another_organization(stack: Any) -> dict[str, str]:
    """A second organization in the running stack, made as an operator would."""
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "config.onemachine.manage",
            "create_organization",
            "Second organization",
            "second@people.example",
        ],
        env={**os.environ, "LOOMWORKS_HOME": str(stack.home)},
        input="correct horse battery staple\n",
        capture_output=True,
        text=True,
        check=True,
    )
    organization: dict[str, str] = json.loads(made.stdout)
    return organization
