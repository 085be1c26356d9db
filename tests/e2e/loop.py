"""The main job, driven by the official client: bring data, fine-tune, deploy, compare."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from tenants.datasets.services import SAMPLES

BASE = "smollm2-135m-instruct"
# The last line of every training row; the base uses `####` too, as a heading on the way.
TRAINED_FORM = re.compile(r"^#### -?\$?[\d,.]+\s*\Z", re.MULTILINE)
ANSWER_TOKENS = 160
JOB_SECONDS = 900.0


@dataclass(frozen=True)
class Question:
    """A held-out row: what is asked."""

    text: str


def client_of(demo: dict[str, str]) -> openai.OpenAI:
    """The official client, pointed at a running stack; its answers are always generated, never kept ones."""
    return openai.OpenAI(
        api_key=demo["api_key"],
        base_url=f"{demo['url']}/v1",
        max_retries=2,
        timeout=300.0,
        default_headers={"x-loomworks-cache": "bypass"},
    )


def eventually(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true value of the condition; fails, saying what was awaited, when there is none in time."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.5)
    return value


def bring(client: openai.OpenAI, name: str, content: bytes) -> str:
    """Bring a file and wait until every row was validated; its id."""
    file = client.files.create(file=(name, content), purpose="fine-tune")
    eventually(
        lambda: client.files.retrieve(file.id).status == "processed",
        seconds=60,
        what="validation of the file",
    )
    return file.id


def train(client: openai.OpenAI, file_id: str, *, seconds: float = JOB_SECONDS, **options: Any) -> Any:
    """Fine-tune the base on a file; the job, ended."""
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file_id, seed=7, **options)
    return wait_for(client, job.id, seconds=seconds)


def wait_for(client: openai.OpenAI, job_id: str, *, seconds: float = JOB_SECONDS) -> Any:
    """The job once it has ended, however it ended."""

    def ended() -> Any:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in {"succeeded", "failed", "cancelled"} else None

    return eventually(ended, seconds=seconds, what="the end of the job")


def losses(client: openai.OpenAI, job_id: str) -> list[float]:
    """The training losses that the job's events report, first step first."""
    events = client.fine_tuning.jobs.list_events(job_id, limit=100)
    points = [event.data for event in events if event.type == "metrics" and isinstance(event.data, dict)]
    ordered = sorted(points, key=lambda point: int(point["step"]))
    return [float(point["train_loss"]) for point in ordered]


def ask(client: openai.OpenAI, model: str, question: str) -> Any:
    """One greedy answer."""
    return client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=ANSWER_TOKENS,
    )


def ask_streaming(client: openai.OpenAI, model: str, question: str) -> str:
    """The same answer, streamed and put together."""
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=ANSWER_TOKENS,
        stream=True,
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def share_in_trained_form(client: openai.OpenAI, model: str, questions: list[Question]) -> float:
    """The share of answers that end in a line with `####` before a number, as the training rows do."""
    answers = (ask(client, model, question.text).choices[0].message.content for question in questions)
    return sum(bool(TRAINED_FORM.search(answer or "")) for answer in answers) / len(questions)


def held_out(count: int) -> list[Question]:
    """Questions of the bundled sample that nobody trains on."""
    rows = (SAMPLES / "word_problems_held_out.jsonl").read_text().splitlines()[:count]
    return [Question(json.loads(row)["messages"][0]["content"]) for row in rows]


def sample_rows(count: int | None = None) -> bytes:
    """The bundled sample data, or so many rows of it."""
    return b"".join((SAMPLES / "word_problems.jsonl").read_bytes().splitlines(keepends=True)[:count])


def chat_rows_of_gsm8k(path: Path) -> Iterator[dict[str, Any]]:
    """GSM8K's questions and answers as chat rows."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        yield {
            "messages": [
                {"role": "user", "content": row["question"]},
                {"role": "assistant", "content": row["answer"]},
            ]
        }
