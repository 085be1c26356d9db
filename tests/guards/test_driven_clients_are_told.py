"""The documentation names the versions of the clients that the tests drive, as locked."""

import json
import re
from pathlib import Path

import pytest

from config.onemachine.install import LOCKS, NODE_CLIENTS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "gateway.md"
# Each client of the table, with the locks and the packages whose versions it names.
CLIENTS = {
    "`openai` for Python": [("platform.txt", "openai")],
    "`openai` for Node": [("node", "openai")],
    "Vercel's `ai` with `@ai-sdk/openai-compatible`": [("node", "ai"), ("node", "@ai-sdk/openai-compatible")],
    "`huggingface-hub`": [("platform.txt", "huggingface-hub")],
    "`text-generation`": [("clients.txt", "text-generation")],
    "`langchain-openai` by `langchain-tests`": [
        ("clients.txt", "langchain-openai"),
        ("clients.txt", "langchain-tests"),
    ],
    "`llm`": [("clients.txt", "llm")],
    "`openai-agents`": [("clients.txt", "openai-agents")],
    "`pydantic-ai-slim`": [("clients.txt", "pydantic-ai-slim")],
}


def version_of(lock: str, package: str) -> str:
    """The locked version."""
    if lock == "node":
        packages = json.loads((NODE_CLIENTS / "package-lock.json").read_text())["packages"]
        return str(packages[f"node_modules/{package}"]["version"])
    found = re.search(rf"^{package}==(\S+)", (LOCKS / lock).read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_told_of_with_the_version_that_is_driven(client: str) -> None:
    versions = ", ".join(version_of(lock, package) for lock, package in CLIENTS[client])
    assert f"| {client} | {versions} | " in DOCUMENT.read_text()
