"""REST: fine-tuning jobs, as OpenAI's API has them, and their curves."""

import re
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape, read_whole_number
from kernel.api.schema import PAGING, whole_number
from kernel.errors import NotFound
from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from training.jobs import services
from training.jobs.api import shapes
from training.jobs.errors import JobUnknown
from training.jobs.models import Checkpoint, FineTuningJob, JobEvent, JobMetric
from training.jobs.orders import JobRequestSerializer, read_order

METADATA_FILTER = re.compile(r"metadata\[([^\]]{1,64})\]")
MAX_POINTS = 10_000


class JobsView(Endpoint):
    """Start a job, list jobs."""

    permission: ClassVar = {"GET": Permission.TRAINING_READ, "POST": Permission.TRAINING_START}

    @extend_schema(parameters=PAGING, responses=page_shape("JobPage", shapes.JobSerializer))
    def get(self, request: Request) -> Response:
        jobs = _jobs(self.principal)
        for name, value in request.query_params.items():
            if match := METADATA_FILTER.fullmatch(name):
                jobs = jobs.filter(metadata__contains={match[1]: value})
        return Response(page(jobs, request.query_params, prefix="ftjob", show=shapes.show_job))

    @extend_schema(request=JobRequestSerializer, responses={200: shapes.JobSerializer})
    def post(self, request: Request) -> Response:
        job = services.start_job(read_order(request.data), by=self.principal)
        return Response(shapes.show_job(job))


class JobView(Endpoint):
    """One job."""

    permission = Permission.TRAINING_READ

    @extend_schema(responses=shapes.JobSerializer)
    def get(self, request: Request, job_id: str) -> Response:
        return Response(shapes.show_job(_job(self.principal, job_id)))


class JobCancelView(Endpoint):
    """End a job."""

    permission = Permission.TRAINING_START

    @extend_schema(request=None, responses={200: shapes.JobSerializer})
    def post(self, request: Request, job_id: str) -> Response:
        return Response(shapes.show_job(services.cancel_job(_job(self.principal, job_id))))


class JobEventsView(Endpoint):
    """The story of a job."""

    permission = Permission.TRAINING_READ

    @extend_schema(parameters=PAGING, responses=page_shape("EventPage", shapes.EventSerializer))
    def get(self, request: Request, job_id: str) -> Response:
        events = JobEvent.objects.filter(job=_job(self.principal, job_id))
        return Response(page(events, request.query_params, prefix="ftevent", show=shapes.show_event))


class JobCheckpointsView(Endpoint):
    """The checkpoints of a job."""

    permission = Permission.TRAINING_READ

    @extend_schema(parameters=PAGING, responses=page_shape("CheckpointPage", shapes.CheckpointSerializer))
    def get(self, request: Request, job_id: str) -> Response:
        found = Checkpoint.objects.filter(job=_job(self.principal, job_id)).select_related("job")
        return Response(page(found, request.query_params, prefix="ftckpt", show=shapes.show_checkpoint))


class JobMetricsView(Endpoint):
    """The curve of a job, after a step that the caller has already."""

    permission = Permission.TRAINING_READ

    @extend_schema(
        parameters=[whole_number("after_step", "Only later steps.")],
        responses=shapes.MetricsSerializer,
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = _job(self.principal, job_id)
        after = read_whole_number(request.query_params, "after_step", default=0, low=0, high=2**31 - 1)
        measured = JobMetric.objects.filter(job=job, step__gt=after).order_by("step")[:MAX_POINTS]
        points = [shapes.show_point(metric) for metric in measured]
        return Response({"points": points, "total_steps": job.total_steps})


def _jobs(principal: Principal) -> "QuerySet[FineTuningJob]":
    jobs: QuerySet[FineTuningJob] = FineTuningJob.objects.filter(project_id=principal.project_id)
    return jobs.select_related("base_model")


def _job(principal: Principal, public_id: str) -> FineTuningJob:
    unknown = JobUnknown(f"There is no fine-tuning job '{public_id[:80]}'.", param="fine_tuning_job_id")
    try:
        job: Any = _jobs(principal).filter(pk=ids.parse("ftjob", public_id)).first()
    except NotFound:
        raise unknown from None
    if job is None:
        raise unknown
    found: FineTuningJob = job
    return found
