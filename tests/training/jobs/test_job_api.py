"""Fine-tuning jobs over HTTP: with the official client, against OpenAI's published specification."""

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openai
import pytest

from tenants.datasets.models import FileState
from training.jobs.execution import leases
from training.jobs.models import JobState

SPECIFICATION = Path(__file__).parents[4] / "shared" / "reference" / "openai-openapi.json"


def check_against_specification(schema: str, body: Any) -> None:
    """Validate a response against the published schema, where the specification is at hand."""
    if not SPECIFICATION.exists():
        return
    document = json.loads(SPECIFICATION.read_text(), object_hook=_in_the_words_of_json_schema)
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    )
    validator.validate(body)


def _in_the_words_of_json_schema(part: dict[str, Any]) -> dict[str, Any]:
    # The specification is OpenAPI 3.1 and yet says `exclusiveMinimum: true`, as 3.0 did.
    if part.get("exclusiveMinimum") is True:
        return {**part, "exclusiveMinimum": part["minimum"]}
    return part


def test_a_new_job_is_queued_at_once_when_its_file_is_ready(owner: Any) -> None:
    file_id = owner.file()
    answer = owner.post(
        "/v1/fine_tuning/jobs",
        {"model": "tiny-for-tests", "training_file": file_id, "seed": 1, "metadata": {"who": "me"}},
    )
    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["training_file"], body["seed"]) == ("queued", file_id, 1)
    assert body["fine_tuned_model"] is None
    assert body["metadata"] == {"who": "me"}
    assert body["hyperparameters"]["n_epochs"] >= 1
    check_against_specification("FineTuningJob", body)
    assert owner.story(body["id"])[0] == f"Created fine-tuning job: {body['id']}"


def test_hyperparameters_are_taken_from_the_method_and_from_the_deprecated_field(owner: Any) -> None:
    client, file_id = owner.client(), owner.file()
    new = client.fine_tuning.jobs.create(
        model="tiny-for-tests",
        training_file=file_id,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 4, "batch_size": 2}}},
    )
    assert (new.hyperparameters.n_epochs, new.hyperparameters.batch_size) == (4, 2)
    assert new.method is not None
    assert new.method.type == "supervised"
    old = client.fine_tuning.jobs.create(
        model="tiny-for-tests", training_file=file_id, hyperparameters={"learning_rate_multiplier": 0.5}
    )
    assert old.hyperparameters.learning_rate_multiplier == 0.5
    assert owner.job(old.id).resolved["learning_rate"] == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": "gpt-unknown"}, "model", "model_not_found"),
        ({"training_file": "file-" + "0" * 32}, "training_file", "file_not_found"),
        ({"training_file": "nonsense"}, "training_file", "file_not_found"),
        ({"validation_file": "file-" + "0" * 32}, "validation_file", "file_not_found"),
        ({"method": {"type": "dpo", "dpo": {}}}, "method.type", "unsupported_method"),
        ({"method": {"type": "reinforcement"}}, "method.type", "unsupported_method"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations", None),
        ({"suffix": "x" * 65}, "suffix", None),
        ({"suffix": "a:b"}, "suffix", None),
        ({"seed": -1}, "seed", None),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata", None),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", None),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", None),
        ({"hyperparameters": {"batch_size": 1.5}}, "hyperparameters.batch_size", None),
        ({"hyperparameters": {"lora_rank": 8}}, "hyperparameters.lora_rank", "unknown_parameter"),
        ({"epochs": 3}, "epochs", "unknown_parameter"),
        ({"training_file": None}, "training_file", None),
        ({"method": "supervised"}, "method", None),
    ],
)
def test_what_is_wrong_with_a_request_is_named(
    owner: Any, change: dict[str, Any], param: str, code: str | None
) -> None:
    body = {"model": "tiny-for-tests", "training_file": owner.file(), **change}
    answer = owner.post("/v1/fine_tuning/jobs", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert code is None or error["code"] == code
    assert owner.client().fine_tuning.jobs.list().data == []


@pytest.mark.parametrize("body", [[], "text", None, 3])
def test_a_body_that_is_no_object_is_refused(owner: Any, body: Any) -> None:
    assert owner.post("/v1/fine_tuning/jobs", body).status_code == 400


def test_a_strangers_file_is_unknown_like_one_that_never_was(owner: Any, stranger: Any) -> None:
    theirs, never = stranger.file(), "file-" + "0" * 32
    errors = []
    for file_id in (theirs, never):
        with pytest.raises(openai.BadRequestError) as caught:
            owner.start(training_file=file_id)
        errors.append(caught.value.message.replace(file_id, "X"))
    assert errors[0] == errors[1]


def test_a_stranger_cannot_see_that_a_job_exists(owner: Any, stranger: Any) -> None:
    job_id = owner.start()
    jobs = stranger.client().fine_tuning.jobs
    for ask in (jobs.retrieve, jobs.cancel, jobs.list_events, jobs.checkpoints.list):
        with pytest.raises(openai.NotFoundError):
            ask(job_id)
    assert stranger.get(f"/api/v1/fine-tuning-jobs/{job_id}/metrics").status_code == 404
    assert jobs.list().data == []
    assert owner.job(job_id).state == JobState.QUEUED


def test_a_file_that_failed_validation_or_has_another_purpose_is_refused_with_the_reason(owner: Any) -> None:
    broken = owner.file(state=FileState.INVALID, reason="3 of 12 rows cannot be used.")
    with pytest.raises(openai.BadRequestError, match=r"3 of 12 rows cannot be used") as caught:
        owner.start(training_file=broken)
    assert caught.value.param == "training_file"
    with pytest.raises(openai.BadRequestError, match="purpose"):
        owner.start(training_file=owner.file(purpose="evals"))


def test_a_job_waits_for_its_files_and_starts_when_they_are_validated(owner: Any) -> None:
    training, validation = owner.file(state=FileState.UPLOADED), owner.file(state=FileState.VALIDATING)
    job_id = owner.start(training_file=training, validation_file=validation)
    owner.conclude(training, FileState.PROCESSED)
    assert owner.client().fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    owner.conclude(validation, FileState.PROCESSED, rows=3)
    assert owner.client().fine_tuning.jobs.retrieve(job_id).status == "queued"


def test_a_waiting_job_fails_when_its_file_turns_out_invalid(owner: Any) -> None:
    file_id = owner.file(state=FileState.UPLOADED)
    job_id = owner.start(training_file=file_id)
    owner.conclude(file_id, FileState.INVALID)
    job = owner.client().fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "2 of 12 rows" in job.error.message


def test_fewer_than_ten_rows_fail_the_job(owner: Any) -> None:
    job = owner.client().fine_tuning.jobs.retrieve(owner.start(training_file=owner.file(rows=9)))
    assert (job.status, job.error.code, job.error.param) == (
        "failed",
        "invalid_training_file",
        "training_file",
    )
    assert "at least 10" in job.error.message


def test_a_file_deleted_before_the_run_fails_the_job(owner: Any, run_jobs: Any) -> None:
    file_id = owner.file()
    job_id = owner.start(training_file=file_id)
    owner.forget_file(file_id)
    run_jobs()
    error = owner.client().fine_tuning.jobs.retrieve(job_id).error
    assert (error.code, error.param) == ("file_not_found", "training_file")
    with pytest.raises(openai.BadRequestError):
        owner.start(training_file=file_id)


def test_cancelling_ends_a_job_that_waits_or_runs_and_refuses_one_that_ended(owner: Any) -> None:
    jobs = owner.client().fine_tuning.jobs
    validating = owner.start(training_file=owner.file(state=FileState.UPLOADED))
    queued, running = owner.start(), owner.start()
    assert jobs.cancel(queued).status == "cancelled"
    lease = leases.claim()
    assert lease is not None
    assert not any(jobs.cancel(job_id).status != "cancelled" for job_id in (validating, running))
    assert not leases.renew(lease)
    with pytest.raises(openai.BadRequestError, match="already been cancelled"):
        jobs.cancel(running)
    check_against_specification("FineTuningJob", owner.get(f"/v1/fine_tuning/jobs/{running}").json())


def test_a_job_whose_model_is_being_deployed_is_not_cancelled(owner: Any, run_jobs: Any) -> None:
    job_id = owner.start()
    run_jobs(steps=2)
    with pytest.raises(openai.BadRequestError, match="deployed"):
        owner.client().fine_tuning.jobs.cancel(job_id)
    owner.deploy(job_id)
    owner.deploy(job_id)
    with pytest.raises(openai.BadRequestError, match="already succeeded"):
        owner.client().fine_tuning.jobs.cancel(job_id)


def test_a_deployment_that_fails_fails_the_job_with_its_reason(owner: Any, run_jobs: Any) -> None:
    job_id = owner.start()
    run_jobs(steps=2)
    owner.fail_deployment(job_id, "the pod refused the adapter")
    job = owner.client().fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.error.code, job.fine_tuned_model) == ("failed", "deployment_failed", None)
    assert "the pod refused the adapter" in job.error.message


def test_jobs_are_listed_newest_first_page_by_page_and_by_metadata(owner: Any) -> None:
    file_id = owner.file()
    made = [owner.start(training_file=file_id, metadata={"n": str(n % 2)}) for n in range(5)]
    client = owner.client()
    page = client.fine_tuning.jobs.list(limit=2)
    assert [job.id for job in page.data] == made[:-3:-1]
    assert page.has_more
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)] == made[::-1]
    odd = owner.get("/v1/fine_tuning/jobs?metadata[n]=1").json()
    assert [job["id"] for job in odd["data"]] == [made[3], made[1]]
    check_against_specification("ListPaginatedFineTuningJobsResponse", odd)


def test_events_and_checkpoints_have_the_published_form(owner: Any, run_jobs: Any) -> None:
    job_id = owner.start()
    run_jobs(steps=6, checkpoint_every=5)
    events = owner.get(f"/v1/fine_tuning/jobs/{job_id}/events?limit=100").json()
    check_against_specification("ListFineTuningJobEventsResponse", events)
    checkpoints = owner.get(f"/v1/fine_tuning/jobs/{job_id}/checkpoints").json()
    check_against_specification("ListFineTuningJobCheckpointsResponse", checkpoints)
    [checkpoint] = checkpoints["data"]
    assert checkpoint["fine_tuned_model_checkpoint"].endswith(":ckpt-step-5")
    assert checkpoint["metrics"]["train_loss"] == pytest.approx(0.4)


def test_without_a_key_nothing_is_told(owner: Any) -> None:
    assert (
        httpx.Client(transport=owner.transport()).get("http://127.0.0.1/v1/fine_tuning/jobs").status_code
        == 401
    )
