"""From where a request of the control plane comes, and who the audit log says made it."""

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest

from kernel.addresses import client_address
from kernel.audit.log import Actor


def address_of(request: HttpRequest) -> str:
    """The caller's address; `X-Forwarded-For` counts only as far as `TRUSTED_PROXIES` wrote it."""
    meta = request.META
    return client_address(
        meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES
    )


def actor_of(request: HttpRequest, name: str, person: UUID | None = None) -> Actor:
    """Whoever this is, as the actor of the request; `person` stands behind them."""
    return Actor(name, address_of(request), request.META.get("REQUEST_ID", ""), person)
