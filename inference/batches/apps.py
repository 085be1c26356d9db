"""Batches as a Django app."""

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    """Filled in by its models."""

    name = "inference.batches"
    label = "batches"
