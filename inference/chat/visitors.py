"""Who opened a socket: recognised from the session, and again while the socket stays open."""

from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http.request import validate_host

from kernel.errors import PermissionDenied
from kernel.ids import render
from kernel.tenancy.scope import acting_for
from tenants.access import sessions
from tenants.access.models import Member, User
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.proofs import proof_of
from tenants.access.restrictable import require_somewhere
from tenants.access.standing import projects_for, standing_of


@dataclass(frozen=True)
class Visitor:
    """The person behind a socket, and the public ids of the projects that they may work in."""

    principal: Principal
    projects: frozenset[str]


def recognise(session_key: str | None, project_id: UUID | None = None) -> Visitor | None:
    """Who the session stands for now, in the chosen organization; None when it no longer stands for anyone.

    With `project_id`, in that project; None when the person may not work in it.
    """
    if not session_key:
        return None
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(cast(Any, SimpleNamespace(session=store)))
    if not isinstance(user, User):
        return None
    chosen = str(project_id) if project_id else store.get(sessions.PROJECT_KEY)
    principal = sessions.principal_for(user, store.get(sessions.ORGANIZATION_KEY), chosen, proof_of(store))
    if principal is None or principal.lacks_factor or principal.refusal is not None:
        return None
    if project_id and principal.project != project_id:
        return None
    with acting_for(principal.organization_id):
        member: Member | None = Member.objects.filter(user=user).first()
        projects = projects_for(user, standing_of(member)) if member else []
    return Visitor(principal, frozenset(render("proj", project.pk) for project in projects))


def may_talk(session_key: str | None, project_id: UUID) -> bool:
    """Whether the session stands for somebody who may talk in the project, if only with one of its models."""
    visitor = recognise(session_key, project_id)
    if visitor is None:
        return False
    with acting_for(visitor.principal.organization_id):
        try:
            require_somewhere(visitor.principal, Permission.CHAT_USE)
        except PermissionDenied:
            return False
    return True


def comes_from_our_pages(scope: dict[str, Any]) -> bool:
    """Whether the socket was opened by a page of ours: any other site's could ride on the cookie."""
    headers = {name: value.decode("latin-1") for name, value in scope.get("headers", [])}
    parts = urlsplit(headers.get(b"origin", ""))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return False
    if f"{parts.scheme}://{parts.netloc}".lower() == settings.PUBLIC_URL.lower():
        return True
    same_host = parts.netloc.lower() == headers.get(b"host", "").lower()
    return same_host and validate_host(parts.hostname, settings.ALLOWED_HOSTS)
