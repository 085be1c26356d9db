"""Webhooks as a Django app."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Events told to customers' own servers, signed."""

    name = "kernel.webhooks"
    label = "webhooks"
