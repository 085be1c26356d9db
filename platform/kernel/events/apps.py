"""Events as a Django app."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """The outbox and its dispatch."""

    name = "kernel.events"
    label = "events"
