"""The whole loop with the official client, against the whole stack."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.e2e import loop

GSM8K = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k-train.jsonl"
HELD_OUT = 50
FEW = 8
# The smallest share of the sample that teaches the form reliably.
ROWS = 150


@pytest.fixture(scope="module")
def client(stack: Any) -> openai.OpenAI:
    return loop.client_of(stack.demo)


@pytest.fixture(scope="module")
def job(client: openai.OpenAI) -> Any:
    """One fine-tuning job on the sample data, ended."""
    file_id = loop.bring(client, "word_problems.jsonl", loop.sample_rows(ROWS))
    return loop.train(client, file_id, suffix="sums")


def test_the_stack_says_that_it_serves(stack: Any) -> None:
    answer = httpx.get(f"{stack.demo['url']}/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert set(stack.demo) == {"url", "email", "password", "api_key", "organization_id", "project_id"}


def test_training_lowers_the_loss_and_names_its_model(client: openai.OpenAI, job: Any) -> None:
    assert job.status == "succeeded", job.error
    assert job.fine_tuned_model.startswith(f"ft:{loop.BASE}:")
    assert job.trained_tokens > 0
    curve = loop.losses(client, job.id)
    assert sum(curve[-5:]) < 0.5 * sum(curve[:5])
    assert client.fine_tuning.jobs.checkpoints.list(job.id).data


def test_base_and_fine_tuned_model_are_listed(client: openai.OpenAI, job: Any) -> None:
    assert {loop.BASE, job.fine_tuned_model} <= {model.id for model in client.models.list()}


def test_the_fine_tuned_model_answers_in_the_trained_form_and_the_base_does_not(
    client: openai.OpenAI, job: Any
) -> None:
    questions = loop.held_out(FEW)
    assert loop.share_in_trained_form(client, job.fine_tuned_model, questions) >= 0.8
    assert loop.share_in_trained_form(client, loop.BASE, questions) <= 0.1


@pytest.mark.slow
def test_fifty_answers_are_in_the_trained_form_and_the_bases_are_not(client: openai.OpenAI, job: Any) -> None:
    questions = loop.held_out(HELD_OUT)
    assert loop.share_in_trained_form(client, job.fine_tuned_model, questions) >= 0.8
    assert loop.share_in_trained_form(client, loop.BASE, questions) <= 0.1


def test_each_answer_carries_the_hash_of_what_produced_it(
    stack: Any, client: openai.OpenAI, job: Any
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "2 + 2?"}], max_tokens=5
    )
    digest = raw.headers["x-loomworks-digest"]
    deployments = httpx.get(
        f"{stack.demo['url']}/api/v1/deployments",
        headers={"Authorization": f"Bearer {stack.demo['api_key']}"},
    ).json()["data"]
    expected = {d["alias"]: d["digest"] for d in deployments}
    assert digest == expected[job.fine_tuned_model] != expected[loop.BASE]
    assert raw.parse().system_fingerprint == f"fp_{digest[:16]}"


def test_the_stream_says_what_the_whole_answer_says(client: openai.OpenAI, job: Any) -> None:
    for model in (loop.BASE, job.fine_tuned_model):
        question = loop.held_out(1)[0].text
        whole = loop.ask(client, model, question).choices[0].message.content
        assert whole
        assert loop.ask_streaming(client, model, question) == whole


def test_a_second_organization_sees_nothing_of_it(
    stack: Any, client: openai.OpenAI, job: Any, another_organization: dict[str, str]
) -> None:
    other = loop.client_of({**stack.demo, "api_key": another_organization["api_key"]})
    assert other.files.list().data == []
    assert other.fine_tuning.jobs.list().data == []
    assert [model.id for model in other.models.list()] == [loop.BASE]
    with pytest.raises(openai.NotFoundError):
        other.fine_tuning.jobs.retrieve(job.id)
    with pytest.raises(openai.NotFoundError):
        other.files.retrieve(job.training_file)
    with pytest.raises(openai.NotFoundError) as refused:
        loop.ask(other, job.fine_tuned_model, "2 + 2?")
    assert refused.value.code == "model_not_found"
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
        other.fine_tuning.jobs.create(model=loop.BASE, training_file=job.training_file)


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        loop.ask(client, loop.BASE, "word " * 20_000)
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.slow
@pytest.mark.skipif(not GSM8K.is_file(), reason="the shared data is not here")
def test_the_loop_on_school_mathematics(client: openai.OpenAI) -> None:
    rows = list(loop.chat_rows_of_gsm8k(GSM8K))
    short = [row for row in rows if len(json.dumps(row)) < 500]
    training = b"".join(json.dumps(row).encode() + b"\n" for row in short[:300])
    questions = [loop.Question(row["messages"][0]["content"]) for row in short[-HELD_OUT:]]
    job = loop.train(client, loop.bring(client, "gsm8k.jsonl", training), suffix="gsm8k")
    assert job.status == "succeeded", job.error
    assert loop.share_in_trained_form(client, job.fine_tuned_model, questions) >= 0.8
    assert loop.share_in_trained_form(client, loop.BASE, questions) <= 0.1
