"""The composition root as a Django app."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from config import webhook_events
from config.celery import app as celery_app


class CompositionConfig(AppConfig):
    """Holding the Celery application here makes `shared_task` find it wherever Django runs."""

    name = "config"
    celery_app = celery_app

    def ready(self) -> None:
        webhook_events.publish_all()
        # What each room keeps besides rows that are a person's, and what it can tell of the deployment.
        autodiscover_modules("erasure", "facts")
