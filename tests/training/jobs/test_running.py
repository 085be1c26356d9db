"""The life of a job under its lease, with a scripted recipe and the real stores."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from kernel.audit.models import AuditEntry
from kernel.events.models import OutboxEvent
from kernel.ids import render
from kernel.storage import objects
from kernel.tenancy.scope import acting_for
from training.jobs.execution import following, leases, reaping, scratch
from training.jobs.models import JobState
from training.registry.models import ModelVersion

Run = Callable[..., int]


def test_a_job_runs_to_its_model_and_succeeds_when_the_model_answers(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start(suffix="arithmetic", seed=7)
    assert run_jobs(steps=10, checkpoint_every=4) == 1

    waiting = owner.client().fine_tuning.jobs.retrieve(job_id)
    assert waiting.status == "running"
    assert waiting.fine_tuned_model is None
    assert "Training finished; the model is being deployed" in owner.story(job_id)

    owner.deploy(job_id)
    done = owner.client().fine_tuning.jobs.retrieve(job_id)
    assert done.status == "succeeded"
    assert done.trained_tokens == 50
    assert done.finished_at is not None
    assert done.fine_tuned_model is not None
    assert done.fine_tuned_model.startswith("ft:tiny-for-tests:acme-inc:arithmetic:")


def test_the_model_version_holds_the_adapter_and_its_lineage(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start(seed=7)
    run_jobs(steps=3)
    [shown] = owner.get("/api/v1/model-versions").json()["data"]
    assert shown["job_id"] == job_id
    assert shown["metrics"]["steps"] == 3
    assert shown["lineage"]["seed"] == 7
    assert shown["lineage"]["dataset_version_id"].startswith("dsv-")
    assert owner.get(f"/api/v1/model-versions/{shown['id']}").json() == shown
    with acting_for(owner.organization.pk):
        version = ModelVersion.objects.get()
    packed = b"".join(objects.get(owner.organization.pk, version.object_key))
    assert b"adapter_model.safetensors" in packed
    assert len(packed) == version.bytes


def test_curves_events_and_checkpoints_are_written_as_it_runs(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    run_jobs(steps=9, checkpoint_every=4)
    curve = owner.get(f"/api/v1/fine-tuning-jobs/{job_id}/metrics?after_step=6").json()
    assert curve["total_steps"] == 9
    assert [point["step"] for point in curve["points"]] == [7, 8, 9]
    assert curve["points"][0]["train_loss"] == pytest.approx(2 / 7)
    client = owner.client()
    assert [c.step_number for c in client.fine_tuning.jobs.checkpoints.list(job_id)] == [8, 4]
    metrics = [e for e in client.fine_tuning.jobs.list_events(job_id, limit=50) if e.type == "metrics"]
    assert [e.data["step"] for e in metrics if isinstance(e.data, dict)] == list(range(9, 0, -1))


def test_a_recipe_sees_no_secret_and_works_in_a_private_folder_that_is_wiped(
    owner: Any, run_jobs: Run, tmp_path: Path
) -> None:
    owner.start()
    run_jobs(tell_surroundings=tmp_path / "facts.json")
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["mode"] == "0o700"
    assert facts["rows"] == 12
    assert facts["environment"]["HF_HUB_OFFLINE"] == "1"
    text = json.dumps(facts["environment"])
    for secret in (settings.SECRET_KEY, settings.POD_KEY, settings.DATABASES["default"]["PASSWORD"]):
        assert secret not in text
    assert not Path(facts["folder"]).exists()


def test_two_runners_never_get_the_same_job(owner: Any) -> None:
    wanted = {owner.start(), owner.start()}
    won: list[Any] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        try:
            won.append(leases.claim())
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [lease.job_id for lease in won if lease is not None]
    assert len(taken) == len(set(taken)) == 2
    assert all(owner.job(job_id).state == JobState.RUNNING for job_id in wanted)


def test_a_runner_that_lost_its_lease_writes_nothing_more(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()

    # Frozen past its lease and thawed: meanwhile the job was given to somebody else.
    def steal() -> None:
        owner.change(job_id, fence=99)
        connection.close()

    thief = threading.Timer(1.0, steal)
    thief.start()
    run_jobs(steps=400, step_seconds=0.02, checkpoint_every=100)
    thief.join()
    job = owner.job(job_id)
    assert (job.state, job.fence, job.model_version_id) == (JobState.RUNNING, 99, None)
    written = len(owner.get(f"/api/v1/fine-tuning-jobs/{job_id}/metrics").json()["points"])
    assert written < 200


def test_the_same_wake_up_three_times_is_one_run(owner: Any, run_jobs: Run) -> None:
    owner.start()
    assert [run_jobs(steps=2), run_jobs(steps=2), run_jobs(steps=2)] == [1, 0, 0]


def test_a_stopped_trainer_hands_the_job_back_with_a_checkpoint(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    stop = threading.Timer(1.0, following.stopping.set)
    stop.start()
    started = time.monotonic()
    run_jobs(steps=1000, step_seconds=0.02, checkpoint_every=1000)
    assert time.monotonic() - started < 8
    job = owner.job(job_id)
    assert (job.state, job.attempts, job.lease_until) == (JobState.QUEUED, {}, None)
    [checkpoint] = owner.checkpoints(job_id)

    following.stopping.clear()
    run_jobs(steps=checkpoint.step + 3)
    points = owner.get(f"/api/v1/fine-tuning-jobs/{job_id}/metrics").json()["points"]
    assert [point["step"] for point in points] == list(range(1, checkpoint.step + 4))
    job = owner.job(job_id)
    assert job.deploying_since is not None
    with acting_for(owner.organization.pk):
        read = AuditEntry.objects.filter(action__endswith=".read").order_by("pk")
        told = list(read.values_list("actor", "action", "target"))
    rows = ("system", "dataset_version.read", render("dsv", job.training_dataset_id))
    assert told == [rows, rows, ("system", "checkpoint.read", job.public_id)]


def test_a_recipe_that_does_not_listen_is_killed_and_its_job_handed_back(
    owner: Any, run_jobs: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STOP_SECONDS", 0.5)
    job_id = owner.start()
    threading.Timer(1.0, following.stopping.set).start()
    run_jobs(steps=1000, step_seconds=0.02, deaf=True)
    assert owner.job(job_id).state == JobState.QUEUED


@pytest.mark.parametrize("damage", ["missing", "altered", "refused"])
def test_a_damaged_checkpoint_is_passed_over(owner: Any, run_jobs: Run, damage: str) -> None:
    job_id = owner.start()
    run_jobs(steps=12, checkpoint_every=4, die_at=9)
    assert owner.job(job_id).state == JobState.FAILED or owner.checkpoints(job_id)
    # The recipe was killed at step 9 of every run, so the job was given up; take it up by hand.
    assert owner.job(job_id).error_code == "recipe_crashed"
    owner.change(job_id, state=JobState.QUEUED, attempts={}, error_code="", finished_at=None)
    last = owner.checkpoints(job_id)[-1]
    assert last.step == 8
    if damage == "missing":
        objects.delete(owner.organization.pk, last.object_key)
    elif damage == "altered":
        with acting_for(owner.organization.pk):
            type(last).objects.filter(pk=last.pk).update(digest="f" * 64)
    run_jobs(steps=12, checkpoint_every=4, **({"refuse_checkpoints": True} if damage == "refused" else {}))
    job = owner.job(job_id)
    assert job.deploying_since is not None
    assert "The checkpoint of step 8 is damaged; an earlier one is used." in owner.story(job_id)


def test_a_poison_job_is_given_up_after_three_runs_with_a_reason(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    assert run_jobs(die_at=2) == 3
    job = owner.client().fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "recipe_crashed"
    assert "memory" in job.error.message
    assert "after 3 runs" in job.error.message


@pytest.mark.parametrize(
    ("code", "param"),
    [
        ("row_too_long", "training_file"),
        ("loss_not_finite", "method.supervised.hyperparameters.learning_rate_multiplier"),
        ("template_unsupported", None),
    ],
)
def test_what_the_recipe_refuses_fails_the_job_at_once(
    owner: Any, run_jobs: Run, code: str, param: str | None
) -> None:
    job_id = owner.start()
    assert run_jobs(fail_at=2, fail_code=code) == 1
    error = owner.client().fine_tuning.jobs.retrieve(job_id).error
    assert (error.code, error.param, error.message) == (code, param, "Told to fail.")


def test_memory_running_out_is_tried_again_later(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    assert run_jobs(fail_at=2, fail_code="out_of_memory") == 1
    job = owner.job(job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, {"out_of_memory": 1})
    assert job.not_before > job.queued_at


def test_a_new_checkpoint_forgives_what_went_wrong_before(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    owner.change(job_id, attempts={"lease_lost": 2})
    run_jobs(steps=6, checkpoint_every=5)
    assert owner.job(job_id).attempts == {}


def test_only_the_latest_checkpoints_keep_their_objects(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    run_jobs(steps=12, checkpoint_every=2, step_seconds=0.4)
    kept = [c.step for c in owner.checkpoints(job_id) if c.object_key]
    assert kept == [8, 10, 12]


def test_the_reaper_takes_up_a_lost_lease_and_gives_up_after_three(owner: Any) -> None:
    job_id = owner.start()
    for tries in (1, 2, 3):
        assert leases.claim() is not None
        owner.change(job_id, lease_until="2020-01-01T00:00:00Z")
        reaping.reap()
        job = owner.job(job_id)
        assert job.state == (JobState.QUEUED if tries < 3 else JobState.FAILED)
    assert job.error_code == "lease_lost"


def test_the_reaper_leaves_living_leases_alone(owner: Any) -> None:
    job_id = owner.start()
    leases.claim()
    reaping.reap()
    assert owner.job(job_id).state == JobState.RUNNING


def test_a_queued_job_that_nobody_heard_of_is_announced_again(owner: Any) -> None:
    job_id = owner.start()
    owner.change(job_id, announced_at="2020-01-01T00:00:00Z")
    reaping.reap()
    reaping.reap()
    with acting_for(owner.organization.pk):
        told = OutboxEvent.objects.filter(name="training.job.queued.v1").count()
    assert told == 2


def test_a_model_that_nobody_deploys_is_announced_again(owner: Any, run_jobs: Run) -> None:
    job_id = owner.start()
    run_jobs(steps=2)
    owner.change(job_id, deploying_since="2020-01-01T00:00:00Z", announced_at="2020-01-01T00:00:00Z")
    reaping.reap()
    with acting_for(owner.organization.pk):
        told = OutboxEvent.objects.filter(name="training.model_version.registered.v1").count()
    assert told == 2
    assert owner.job(job_id).state == JobState.RUNNING


def test_the_folder_of_a_killed_run_is_wiped_and_a_living_one_is_not() -> None:
    with scratch.private_folder(1) as living:
        root = living.parent
        dead = root / "run-dead"
        shutil.copytree(living, dead)
        scratch.wipe_stale()
        assert living.is_dir()
        assert not dead.exists()
    assert not living.exists()
