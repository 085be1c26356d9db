"""Fine-tuning on rows that are erased: jobs under way end, checkpoints go."""

from collections.abc import Iterator, Sequence

from django.db.models import Q, QuerySet

from kernel import ids
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.storage import objects
from kernel.tenancy.scope import acting_for
from training.jobs import states
from training.jobs.models import ENDED, Checkpoint, FineTuningJob
from training.jobs.states import Fault


@keeps
class JobsOnRows(Keeper):
    """Jobs that have not ended; whoever started them starts them again on the file without the rows."""

    name = "fine-tuning jobs"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """By the files in which rows were found."""
        with acting_for(subject.organization_id):
            jobs = list(_jobs_on(found).exclude(state__in=ENDED).order_by("pk"))
        for job in jobs:
            yield Trace(
                kind="fine-tuning jobs",
                place=job.public_id,
                count=1,
                fate=Fate.CANCELLED,
                because="It is learning from the rows.",
            )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """End them; their runners notice within a second and wipe what they have."""
        for trace in traces:
            with acting_for(subject.organization_id):
                job = states.lock(ids.parse("ftjob", trace.place))
                if not job.has_ended and job.deploying_since is None:
                    states.fail(
                        job,
                        Fault(
                            "rows_erased",
                            "Rows of the file were erased on demand; start the job again on the file that "
                            "replaces it.",
                            "training_file",
                        ),
                    )


@keeps
class CheckpointsOnRows(Keeper):
    """What is kept of trainings on the rows, to take them up again."""

    name = "checkpoints"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """The checkpoints that still have their object, by job."""
        with acting_for(subject.organization_id):
            counts = {job.public_id: _stored(job).count() for job in _jobs_on(found).order_by("pk")}
        for job_id, count in counts.items():
            if count:
                yield Trace(kind="checkpoints", place=job_id, count=count, fate=Fate.ERASED)

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Remove their objects; the rows stay, as old checkpoints' do. Raises `StorageUnavailable`."""
        for trace in traces:
            with acting_for(subject.organization_id):
                job = FineTuningJob.objects.get(pk=ids.parse("ftjob", trace.place))
                held = list(_stored(job).values_list("pk", "object_key"))
            for checkpoint_id, key in held:
                beat()
                objects.delete(subject.organization_id, key)
                with acting_for(subject.organization_id):
                    Checkpoint.objects.filter(pk=checkpoint_id).update(object_key="")


def _jobs_on(found: Sequence[Trace]) -> "QuerySet[FineTuningJob]":
    files = [
        ids.parse("file", trace.place) for trace in found if trace.details.get("dataset_versions") is not None
    ]
    rows: QuerySet[FineTuningJob] = FineTuningJob.objects.filter(
        Q(training_file_id__in=files) | Q(validation_file_id__in=files)
    )
    return rows


def _stored(job: FineTuningJob) -> "QuerySet[Checkpoint]":
    rows: QuerySet[Checkpoint] = Checkpoint.objects.filter(job=job).exclude(object_key="")
    return rows
