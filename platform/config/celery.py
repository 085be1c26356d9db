"""The Celery application. Tasks are found in each app's `tasks` module."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from inference.batches.schedule import SCHEDULE as BATCHES
from inference.chat.schedule import SCHEDULE as CHAT
from inference.deployments.schedule import SCHEDULE as DEPLOYMENTS
from inference.usage.schedule import SCHEDULE as USAGE
from kernel.api.schedule import SCHEDULE as API
from kernel.audit.schedule import SCHEDULE as AUDIT
from kernel.crypto.schedule import SCHEDULE as CRYPTO
from kernel.webhooks.schedule import SCHEDULE as WEBHOOKS
from tenants.access.schedule import SCHEDULE as ACCESS
from tenants.administration.schedule import SCHEDULE as ADMINISTRATION
from tenants.compliance.schedule import SCHEDULE as COMPLIANCE
from tenants.datasets.schedule import SCHEDULE as DATASETS
from tenants.identity.schedule import SCHEDULE as IDENTITY
from training.jobs.schedule import SCHEDULE as JOBS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("loomworks")
app.config_from_object("django.conf:settings", namespace="CELERY")
HOUSEKEEPING: dict[str, dict[str, Any]] = {
    "abandon-uploads": {"task": "config.tasks.abandon_uploads", "schedule": 24 * 3600.0},
}

app.conf.beat_schedule = {
    **HOUSEKEEPING,
    **API,
    **CRYPTO,
    **AUDIT,
    **WEBHOOKS,
    **ACCESS,
    **ADMINISTRATION,
    **DATASETS,
    **COMPLIANCE,
    **IDENTITY,
    **JOBS,
    **DEPLOYMENTS,
    **USAGE,
    **CHAT,
    **BATCHES,
}
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Settings have configured logging; a receiver here keeps Celery from doing it again."""
