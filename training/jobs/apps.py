"""Jobs as a Django app."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Fine-tuning jobs: their queue, leases, runs and history."""

    name = "training.jobs"
    label = "jobs"
