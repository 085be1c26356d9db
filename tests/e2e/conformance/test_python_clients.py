"""Clients for Python that need other packages than the platform; the stories themselves are in `python`."""

import os
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from config.onemachine import install
from tests.e2e.conformance.places import Place

STORIES = Path(__file__).parent / "python"
TIMEOUT_SECONDS = 120
# What is skipped of the stories, and nothing else may be: no model here sees or hears.
SKIPPED = {
    "langchain_chat.py": {
        "test_anthropic_inputs",
        "test_audio_inputs",
        "test_image_inputs",
        "test_image_tool_message",
        "test_pdf_inputs",
        "test_pdf_tool_message",
        # These want recordings.
        "test_stream_time",
        "test_serdes",
    }
}


# They load large frameworks.
LONG = {"agent_frameworks.py", "langchain_chat.py"}


def stories() -> list[Any]:
    """Every file of them."""
    names = sorted(path.name for path in STORIES.glob("*.py"))
    return [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in names]


@pytest.mark.parametrize("story", stories())
def test_a_client_for_python_does_what_its_users_expect(scripted: Place, story: str, tmp_path: Path) -> None:
    python, report = install.install_apart("clients"), tmp_path / "report.xml"
    places = {"BASE_URL": scripted.v1, "TGI_URL": scripted.tgi, "API_KEY": scripted.api_key}
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-c", STORIES / "pytest.ini", f"--junitxml={report}", STORIES / story],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **places},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = ElementTree.parse(report).iter("testcase")
    skipped = {case.attrib["name"].partition("[")[0] for case in cases if case.find("skipped") is not None}
    assert skipped == SKIPPED.get(story, set())
