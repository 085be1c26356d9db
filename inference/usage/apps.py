"""Usage as a Django app."""

from django.apps import AppConfig


class UsageConfig(AppConfig):
    """Filled in by its models."""

    name = "inference.usage"
    label = "usage"
