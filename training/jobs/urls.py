"""Addresses of jobs."""

from django.urls import path

from training.jobs.api import jobs

urlpatterns = [
    path("v1/fine_tuning/jobs", jobs.JobsView.as_view()),
    path("v1/fine_tuning/jobs/<str:job_id>", jobs.JobView.as_view()),
    path("v1/fine_tuning/jobs/<str:job_id>/cancel", jobs.JobCancelView.as_view()),
    path("v1/fine_tuning/jobs/<str:job_id>/events", jobs.JobEventsView.as_view()),
    path("v1/fine_tuning/jobs/<str:job_id>/checkpoints", jobs.JobCheckpointsView.as_view()),
    path("api/v1/fine-tuning-jobs/<str:job_id>/metrics", jobs.JobMetricsView.as_view()),
]
