"""REST: the organization's audit log, as OpenAI's API has it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import read_values, read_whole_number
from kernel.audit.models import AuditEntry
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.models import ApiKey, User
from tenants.access.permissions import Permission
from tenants.administration import audit_events
from tenants.administration.api.cursors import Cut, Page, ids_shape
from tenants.administration.api.projects import read_flag
from tenants.organizations.models import Project

CUT = Cut(order="desc")
PREFIX = "audit_log"
LAST_SECOND = 253_402_300_799
BOUNDS = ("gt", "gte", "lt", "lte")
LISTS = ("project_ids", "event_types", "actor_ids", "actor_emails", "resource_ids")

Rows = QuerySet[AuditEntry]


class AuditLogSerializer(serializers.Serializer[Any]):
    """One event; its details lie under its type's name."""

    id = serializers.CharField()
    type = serializers.CharField()
    effective_at = serializers.IntegerField()
    project = serializers.DictField(required=False)
    actor = serializers.DictField(allow_null=True)
    outcome = serializers.CharField()


class AuditLogsView(OrganizationEndpoint):
    """What was done in the organization, and what was refused; newest first."""

    permission = Permission.AUDIT_READ

    @extend_schema(
        parameters=[
            *CUT.parameters,
            OpenApiParameter("before", str, description="The id before which the page ends."),
            *(OpenApiParameter(f"effective_at[{bound}]", int) for bound in BOUNDS),
            *(OpenApiParameter(f"{name}[]", str, many=True) for name in LISTS),
            OpenApiParameter("tenant_only", bool),
        ],
        responses=ids_shape("AuditLogPage", AuditLogSerializer),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        rows: Rows = AuditEntry.objects.filter(_when(query), _what(query), _whose(query))
        if read_flag(query, "tenant_only"):
            # Events above organizations, which this platform does not have.
            rows = rows.none()
        return Response(_cut(rows, query).by_ids())


def _cut(rows: Rows, query: Any) -> Page:
    limit = CUT.limit(query)
    if before := query.get("before"):
        # The page that ends before that entry: read upwards from it, then turned round.
        newer = rows.filter(pk__gt=ids.parse(PREFIX, before, param="before")).order_by("pk")
        found = list(newer[: limit + 1])
        return Page(_show(list(reversed(found[:limit]))), len(found) > limit)
    if after := query.get("after"):
        rows = rows.filter(pk__lt=ids.parse(PREFIX, after, param="after"))
    found = list(rows.order_by("-pk")[: limit + 1])
    return Page(_show(found[:limit]), len(found) > limit)


def _when(query: Any) -> Q:
    """The bounds on `effective_at`, which is told in whole seconds."""
    wanted = Q()
    for bound in BOUNDS:
        name = f"effective_at[{bound}]"
        if query.get(name) is None:
            continue
        second = read_whole_number(query, name, default=0, low=0, high=LAST_SECOND - 1)
        moment = datetime.fromtimestamp(second, UTC)
        if bound in {"gt", "lte"}:
            moment += timedelta(seconds=1)
        wanted &= Q(occurred_at__gte=moment) if bound.startswith("g") else Q(occurred_at__lt=moment)
    return wanted


def _what(query: Any) -> Q:
    wanted = Q()
    if types := read_values(query, "event_types"):
        named = Q()
        for event_type in types:
            if event_type == audit_events.DENIED:
                named |= Q(outcome="denied")
            else:
                named |= Q(outcome="allowed", action__in=audit_events.actions_of(event_type))
        wanted &= named
    if projects := read_values(query, "project_ids"):
        wanted &= Q(details__project__in=projects) | Q(target__in=projects)
    if targets := read_values(query, "resource_ids"):
        wanted &= Q(target__in=targets)
    return wanted


def _whose(query: Any) -> Q:
    wanted = Q()
    if actors := read_values(query, "actor_ids"):
        wanted &= Q(actor__in=[*actors, *_keys_of_accounts(actors)])
    if emails := read_values(query, "actor_emails"):
        people = User.objects.filter(email__in=[email.strip().lower() for email in emails])
        wanted &= Q(actor__in=[person.public_id for person in people])
    return wanted


def _keys_of_accounts(actors: Iterable[str]) -> list[str]:
    """A service account acts by its keys."""
    head = ids.head_of("svc_acct")
    accounts = [ids.parse("svc_acct", actor, param="actor_ids") for actor in actors if actor.startswith(head)]
    return [key.public_id for key in ApiKey.objects.filter(service_account__in=accounts)] if accounts else []


def _show(entries: list[AuditEntry]) -> list[dict[str, Any]]:
    actors = _actors(entries)
    named = {str(entry.details.get("project") or entry.target) for entry in entries}
    head = ids.head_of("proj")
    projects = {
        project.public_id: project
        for project in Project.objects.filter(
            pk__in=[ids.parse("proj", one) for one in named if one.startswith(head)]
        )
    }
    return [_show_one(entry, actors, projects) for entry in entries]


def _show_one(
    entry: AuditEntry, actors: Mapping[str, dict[str, Any]], projects: Mapping[str, Project]
) -> dict[str, Any]:
    kind = audit_events.type_of(entry)
    project = projects.get(str(entry.details.get("project") or entry.target))
    shown: dict[str, Any] = {
        "id": ids.render(PREFIX, entry.pk),
        "type": kind,
        "effective_at": int(entry.occurred_at.timestamp()),
        "actor": _show_actor(entry, actors),
        "outcome": entry.outcome,
        kind: audit_events.details_of(entry),
    }
    if project is not None:
        shown["project"] = {"id": project.public_id, "name": project.name}
    return shown


def _show_actor(entry: AuditEntry, actors: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    found = actors.get(entry.actor)
    if found is None:
        return None
    if "type" in found:
        return {"type": "api_key", "api_key": found}
    return {"type": "session", "session": {"user": found, "ip_address": entry.address}}


def _actors(entries: Iterable[AuditEntry]) -> dict[str, dict[str, Any]]:
    """The people and keys behind the entries by their names in the log; the platform itself is nobody."""
    names = {entry.actor for entry in entries}
    keys = list(
        ApiKey.objects.filter(pk__in=_parsed("key", names)).select_related("created_by", "service_account")
    )
    people = {user.public_id: _person(user) for user in User.objects.filter(pk__in=_parsed("user", names))}
    return {**people, **{key.public_id: _key(key) for key in keys}}


def _parsed(prefix: str, names: Iterable[str]) -> list[Any]:
    head = ids.head_of(prefix)
    return [ids.parse(prefix, name) for name in names if name.startswith(head)]


def _person(user: User) -> dict[str, Any]:
    return {"id": user.public_id, "email": user.email}


def _key(key: ApiKey) -> dict[str, Any]:
    if key.service_account is not None:
        account = {"id": key.service_account.public_id}
        return {"id": key.public_id, "type": "service_account", "service_account": account}
    user = {"user": _person(key.created_by)} if key.created_by else {}
    return {"id": key.public_id, "type": "user", **user}
