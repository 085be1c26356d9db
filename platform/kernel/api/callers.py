"""From where a request of the control plane comes."""

from django.conf import settings
from django.http import HttpRequest

from kernel.addresses import client_address


def address_of(request: HttpRequest) -> str:
    """The caller's address; `X-Forwarded-For` counts only as far as `TRUSTED_PROXIES` wrote it."""
    meta = request.META
    return client_address(
        meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES
    )
