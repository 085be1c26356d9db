"""The real recipe under a real Celery trainer: stopped in the middle, taken up again, to a model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from kernel.events.dispatcher import deliver_waiting
from kernel.telemetry.presence import TRAINER, seconds_since_seen
from training.jobs import tasks
from training.jobs.models import JobState
from training.registry.services import register_base_models

REPOSITORY = Path(__file__).parents[3]
CELERY = (
    "-m",
    "celery",
    "-A",
    "config",
    "worker",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
)
BASE = "smollm2-135m-instruct"

pytestmark = pytest.mark.slow


@pytest.fixture
def trainer(owner: Any) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Start the trainer exactly as the process table does; killed at the end."""
    started: list[subprocess.Popen[bytes]] = []
    path = os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, *CELERY, "-n", "trainer@%h", "-Q", "training", "--pool", "solo"]
        popen = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path})
        started.append(popen)
        return popen

    yield start
    for popen in started:
        popen.kill()
        popen.wait()


@pytest.fixture
def real_base(owner: Any) -> str:
    """The bundled base model, made in the models folder of this test run."""
    folder = Path(settings.MODELS_DIR) / BASE
    command = [sys.executable, "-m", "training.recipes.base_model", "--output", str(folder)]
    path = os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path}, cwd=REPOSITORY)
    [model] = [base for base in register_base_models(Path(settings.MODELS_DIR)) if base.name == BASE]
    assert model.parameters == 134_515_008
    assert (model.eos_token, model.bos_token) == ("<|im_end|>", "<|im_start|>")
    assert "im_start" in model.chat_template
    return BASE


def wait_until(condition: Callable[[], object], *, at_most_seconds: float) -> None:
    deadline = time.monotonic() + at_most_seconds
    # The dispatcher knows who wants the event because the tasks are loaded.
    assert tasks.wake_trainer.name == "training.jobs.tasks.wake_trainer"
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        deliver_waiting()
        time.sleep(0.2)


def test_a_real_job_stopped_in_the_middle_goes_on_to_its_model(
    owner: Any, real_base: str, trainer: Callable[[], "subprocess.Popen[bytes]"]
) -> None:
    job_id = owner.start(
        model=real_base,
        training_file=owner.file(rows=40),
        seed=1,
        hyperparameters={"n_epochs": 6, "batch_size": 4},
    )
    client = redis.Redis.from_url(settings.VALKEY_URL)
    first = trainer()
    wait_until(lambda: owner.steps(job_id), at_most_seconds=120)
    assert seconds_since_seen(client, TRAINER) < 30
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=20) == 0
    job = owner.job(job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, {})
    done = len(owner.steps(job_id))
    assert 0 < done < 60
    assert owner.checkpoints(job_id)[-1].step == done

    trainer()
    wait_until(lambda: owner.job(job_id).deploying_since, at_most_seconds=300)
    curve = owner.get(f"/api/v1/fine-tuning-jobs/{job_id}/metrics").json()
    assert [point["step"] for point in curve["points"]] == list(range(1, 61))
    assert curve["points"][-1]["train_loss"] < curve["points"][0]["train_loss"] / 2
    [version] = owner.get("/api/v1/model-versions").json()["data"]
    assert version["base_model"] == real_base
    assert version["bytes"] > 100_000
    client.close()
