"""Slow down whoever guesses passwords: counted by address and network together, with a growing delay.

Never by the address alone, or anybody could lock anybody out. An attempt is counted before the password is
looked at, so that many at once count as many; the right password forgets them. An address that nobody has is
counted alike.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from axes.handlers.base import AxesHandler
from axes.models import AccessAttempt
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kernel.addresses import customer_network
from kernel.api.callers import address_of

FREE_ATTEMPTS = 5
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=1)
NO_NETWORK = "0.0.0.0"  # noqa: S104


@dataclass(frozen=True)
class Locked:
    """How long no further attempt is looked at."""

    remaining: timedelta

    @property
    def seconds(self) -> int:
        return max(1, ceil(self.remaining.total_seconds()))

    @property
    def minutes(self) -> int:
        return ceil(self.seconds / 60)


class LockOut(AxesHandler):
    """What django-axes asks before and after each attempt."""

    def is_allowed(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        """Count the attempt; whether it may be made."""
        request.lock_out = _claim(_address(credentials), network_of(request))
        return request.lock_out is None

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **_: Any
    ) -> None:
        """After a refused attempt: say so at once where it was one too many."""
        if request is None or not hasattr(request, "lock_out"):
            return
        request.lock_out = request.lock_out or _state(_address(credentials), network_of(request))
        request.axes_locked_out = request.lock_out is not None

    def post_save_access_attempt(self, instance: Any, **_: Any) -> None:
        """Axes asks at each change of its table; nothing follows from one here."""

    def post_delete_access_attempt(self, instance: Any, **_: Any) -> None:
        """As above."""


def forgive(request: HttpRequest, address: str) -> None:
    """Forget what was counted: the password was right."""
    AccessAttempt.objects.filter(username=_tidy(address), ip_address=network_of(request)).delete()


def network_of(request: HttpRequest) -> str:
    """Whom an attempt from this address counts against."""
    return customer_network(address_of(request)) or NO_NETWORK


def answer(request: Any, original: HttpResponse | None, credentials: Any) -> HttpResponse:
    """The page instead of the form: when to try again, and nothing of whether the account exists."""
    locked: Locked = request.lock_out
    response = render(request, "account/locked_out.html", {"locked": locked}, status=429)
    response["Retry-After"] = str(locked.seconds)
    return response


def _claim(address: str, network: str) -> Locked | None:
    fresh = {"failures_since_start": 0, "get_data": "", "post_data": "", "http_accept": "", "path_info": ""}
    with transaction.atomic():
        row, made = AccessAttempt.objects.get_or_create(
            username=address, ip_address=network, user_agent="", defaults=fresh
        )
        found = AccessAttempt.objects.select_for_update().annotate(now=Now()).get(pk=row.pk)
        if locked := _locked(found, found.now):
            return locked
        failures = 0 if found.now - found.attempt_time > FORGOTTEN_AFTER else found.failures_since_start
        AccessAttempt.objects.filter(pk=row.pk).update(failures_since_start=failures + 1, attempt_time=Now())
        if made:
            AccessAttempt.objects.filter(attempt_time__lt=Now() - FORGOTTEN_AFTER).delete()
    return None


def _state(address: str, network: str) -> Locked | None:
    rows = AccessAttempt.objects.filter(username=address, ip_address=network, user_agent="")
    found = rows.annotate(now=Now()).first()
    return _locked(found, found.now) if found else None


def _locked(row: Any, now: datetime) -> Locked | None:
    beyond = row.failures_since_start - FREE_ATTEMPTS
    if beyond < 0:
        return None
    remaining: timedelta = row.attempt_time + delay_after(beyond) - now
    return Locked(remaining) if remaining > timedelta() else None


def delay_after(beyond: int) -> timedelta:
    """How long to wait after so many failures beyond the free ones: twice as long each time."""
    doublings = min(beyond, 10)
    return min(FIRST_DELAY * int(2**doublings), LONGEST_DELAY)


def _address(credentials: dict[str, Any] | None) -> str:
    return _tidy(str((credentials or {}).get("email") or ""))


def _tidy(address: str) -> str:
    return address.strip().lower()[:255]
