"""Prompt templates as a Django app."""

from django.apps import AppConfig


class PromptsConfig(AppConfig):
    """Filled in by its models."""

    name = "inference.prompts"
    label = "prompts"
