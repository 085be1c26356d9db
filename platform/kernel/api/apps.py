"""What REST surfaces share as a Django app."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """What all REST surfaces share; the answers of idempotent requests are rows."""

    name = "kernel.api"
    label = "api"
