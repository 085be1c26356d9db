"""Fine-tuning on rows that are erased: jobs under way end, checkpoints go; and purposes that exclude it."""

import io
from typing import Any

import pytest

from kernel import ids
from kernel.ids import uuid7
from kernel.storage import objects
from kernel.storage.names import object_key
from tests.cast import Person
from tests.inference.deployments.house import base_model
from tests.tenants.administration.offices import call
from tests.tenants.compliance.house import bring, erase, places, row
from training.jobs.execution import leases, materials
from training.jobs.execution.setbacks import Unfit
from training.jobs.models import Checkpoint, FineTuningJob

JANE = "jane.doe@customers.example"
ROWS = row("A question") * 12 + row(JANE)


def start(person: Person, file_id: str) -> Any:
    return person.openai.fine_tuning.jobs.create(model=base_model().name, training_file=file_id)


def with_checkpoint(person: Person, job_id: str) -> str:
    """A checkpoint of the job; gives its object's key."""
    key = object_key(person.organization.pk, "checkpoints", uuid7())
    objects.put(person.organization.pk, key, io.BytesIO(b"a checkpoint"))
    with person.acting():
        Checkpoint.objects.create(
            job_id=ids.parse("ftjob", job_id), step=5, object_key=key, bytes=12, digest="c" * 64
        )
    return key


def test_a_job_on_the_rows_ends_and_says_why_and_its_checkpoints_go(owner: Person) -> None:
    file = bring(owner, ROWS)
    job = start(owner, file.public_id)
    key = with_checkpoint(owner, job.id)
    done = erase(owner, words=[JANE])
    assert done["state"] == "completed", done
    assert places(done["plan"], "fine-tuning jobs") == [job.id]
    assert places(done["plan"], "checkpoints") == [job.id]
    ended = owner.openai.fine_tuning.jobs.retrieve(job.id)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "rows_erased"
    assert not objects.exists(owner.organization.pk, key)
    with owner.acting():
        assert Checkpoint.objects.get().object_key == ""


def test_jobs_on_other_files_go_on(owner: Person) -> None:
    bring(owner, ROWS)
    other = bring(owner, row("Nothing of her") * 12)
    job = start(owner, other.public_id)
    assert erase(owner, words=[JANE])["state"] == "completed"
    assert owner.openai.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_a_job_that_waited_is_held_to_a_purpose_that_was_changed_meanwhile(owner: Person) -> None:
    file = bring(owner, ROWS)
    job = start(owner, file.public_id)
    address = f"/api/v1/files/{file.public_id}/provenance"
    assert call(owner, "put", address, {"training_allowed": False}).status_code == 200
    lease = leases.claim()
    while lease is not None and lease.organization_id != owner.organization.pk:
        lease = leases.claim()
    assert lease is not None
    with pytest.raises(Unfit) as unfit:
        materials.read_sheet(lease)
    assert unfit.value.fault.code == "training_not_allowed"
    with owner.acting():
        assert FineTuningJob.objects.get().public_id == job.id
    owner.openai.fine_tuning.jobs.cancel(job.id)
