"""Jobs as a Django app."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Filled in by its models."""

    name = "training.jobs"
    label = "jobs"
