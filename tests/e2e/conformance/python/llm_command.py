"""The command `llm`, set up for another server as its documentation says."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from llm.cli import cli

GREETING = "Hello world!"
KINDS = {"chat": "", "completion": "  completion: true\n", "responses": "  responses: true\n"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder that knows the model under three names."""
    tmp_path = tmp_path_factory.mktemp("llm")
    (tmp_path / "extra-openai-models.yaml").write_text(
        "".join(
            f"- model_id: {name}\n  model_name: support\n  api_base: {os.environ['BASE_URL']}\n"
            f"  api_key_name: loomworks\n  supports_schema: true\n  supports_tools: true\n{more}"
            for name, more in KINDS.items()
        )
    )
    (tmp_path / "keys.json").write_text(json.dumps({"loomworks": os.environ["API_KEY"]}))
    return tmp_path


def llm(home: Path, *words: str) -> Result:
    return CliRunner(env={"LLM_USER_PATH": str(home)}).invoke(cli, ["prompt", "--no-log", *words])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
def test_a_question_is_answered(home: Path, kind: str, streams: bool) -> None:
    done = llm(home, "-m", kind, *([] if streams else ["--no-stream"]), "Hi")
    assert done.stdout.strip() == GREETING, done.stderr


def test_a_system_prompt_and_options_are_sent_and_usage_is_told(home: Path) -> None:
    done = llm(
        home, "-m", "chat", "-s", "Be brief.", "-o", "temperature", "0.5", "-o", "seed", "3", "-u", "Hi"
    )
    assert done.stdout.strip() == GREETING, done.stderr
    assert "7 input, 5 output" in done.stderr


def test_a_schema_is_kept_to(home: Path) -> None:
    done = llm(home, "-m", "chat", "--schema", "name, inhabitants int", "'Bern' 134000")
    assert json.loads(done.stdout) == {"name": "Bern", "inhabitants": 134000}, done.stderr


def test_a_function_is_called_and_its_output_read(home: Path) -> None:
    function = "def weather(city: str) -> str:\n    return 'It is sunny in ' + city\n"
    done = llm(home, "-m", "chat", "--functions", function, "--td", "What is the weather in 'Bern'?")
    assert "It is sunny in Bern" in done.stderr, done.stderr
    assert GREETING in done.stdout


def test_a_refusal_is_told_in_the_gateways_words(home: Path) -> None:
    done = llm(home, "-m", "chat", "-o", "temperature", "0.5", "-o", "max_tokens", "1000000", "Hi")
    assert done.exit_code != 0
    assert "maximum context length" in done.stderr, done.stderr
