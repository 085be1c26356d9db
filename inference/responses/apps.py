"""Stored responses as a Django app."""

from django.apps import AppConfig


class ResponsesConfig(AppConfig):
    """Filled in by its models."""

    name = "inference.responses"
    label = "responses"
