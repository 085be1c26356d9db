"""The worker's doors to identity."""

from celery import shared_task

from tenants.identity.services import sessions
from tenants.identity.sso import domains


@shared_task(name="tenants.identity.tasks.recheck_domains")
def recheck_domains() -> None:
    """Look for the proofs of verified domains again."""
    domains.recheck_domains()


@shared_task(name="tenants.identity.tasks.forget_expired_sessions")
def forget_expired_sessions() -> None:
    """Remove the sessions whose time is over."""
    sessions.forget_expired()
