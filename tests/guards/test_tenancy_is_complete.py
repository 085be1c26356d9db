"""Tenancy has no gap: models are scoped, tables locked, crossings listed, addresses guarded."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from config.onemachine.layout import REPOSITORY
from kernel.tenancy.models import TenantOwned
from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission

ROOMS = ("platform/kernel", "platform/config", "tenants", "training", "inference")

# Rows that belong to nobody, or to everybody: a person may be in several organizations.
SHARED_MODELS = {
    "access.User",
    # A person's, who may be in several organizations: their address, factors, sessions, failed sign-ins.
    "account.EmailAddress",
    "account.EmailConfirmation",
    "axes.AccessAttempt",
    "axes.AccessAttemptExpiration",
    "axes.AccessFailureLog",
    "axes.AccessLog",
    "mfa.Authenticator",
    "usersessions.UserSession",
    "auth.Group",
    "auth.Permission",
    "contenttypes.ContentType",
    "guardian.GroupObjectPermission",
    "guardian.UserObjectPermission",
    # The operator's: what is offered to all, and the platform's own trail.
    "limits.Plan",
    "limits.PlatformEntry",
    "limits.PlatformPolicy",
    "limits.Price",
    "organizations.Organization",
    "registry.BaseModel",
    "sessions.Session",
}

MAY_CROSS_TENANTS = {
    "inference/batches/execution/leases.py",
    "inference/chat/settlement.py",
    "inference/deployments/reconciliation.py",
    "inference/deployments/snapshot.py",
    "inference/usage/counters.py",
    "platform/kernel/api/idempotency.py",
    "platform/kernel/crypto/copies.py",
    "platform/kernel/crypto/own.py",
    "platform/kernel/crypto/reencryption.py",
    "platform/kernel/crypto/renewal.py",
    "platform/kernel/audit/checkpoints.py",
    "platform/kernel/audit/sealing.py",
    "platform/kernel/crypto/wrapping.py",
    "platform/kernel/events/dispatcher.py",
    "platform/kernel/tenancy/scope.py",
    "platform/kernel/webhooks/leases.py",
    "tenants/access/authentication.py",
    "tenants/access/sessions.py",
    "tenants/administration/api/operator.py",
    "tenants/compliance/work.py",
    "tenants/datasets/execution.py",
    "tenants/datasets/expiry.py",
    "tenants/identity/sso/crossings.py",
    "tenants/limits/services/operation.py",
    "tenants/organizations/services/encryption.py",
    "tenants/organizations/services/erasure.py",
    "training/jobs/execution/leases.py",
}

PUBLIC_ADDRESSES = {
    "livez",
    "readyz",
    "healthz",
    # Before somebody is known, and about nobody but themselves: the account pages.
    "accounts/email",
    "accounts/email/sent",
    r"^accounts/email/verify/(?P<key>[-:\w]+)$",
    "accounts/factors",
    "accounts/factors/app",
    "accounts/factors/app/remove",
    "accounts/factors/codes",
    "accounts/factors/codes/file",
    "accounts/factors/codes/renew",
    "accounts/factors/keys",
    "accounts/factors/keys/<int:pk>/name",
    "accounts/factors/keys/<int:pk>/remove",
    "accounts/factors/keys/add",
    "accounts/inactive",
    "accounts/invitation",
    "accounts/password",
    "accounts/password/reset",
    "accounts/password/reset/done",
    "accounts/password/reset/sent",
    r"^accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
    "accounts/password/set",
    "accounts/reauthenticate",
    "accounts/reauthenticate/factor",
    "accounts/reauthenticate/passkey",
    "accounts/sign-in",
    "accounts/sign-in/factor",
    "accounts/sign-in/passkey",
    "accounts/sign-out",
    "accounts/sign-up",
    # To an organization's identity provider and back.
    "accounts/sso",
    "accounts/sso/<str:organization_id>/<str:provider_id>/acs",
    "accounts/sso/<str:organization_id>/<str:provider_id>/callback",
    "accounts/sso/<str:organization_id>/<str:provider_id>/complete",
    "accounts/sso/<str:organization_id>/<str:provider_id>/metadata",
    "accounts/sso/<str:organization_id>/<str:provider_id>/start",
    # What the APIs are like, of nobody.
    "reference/openapi.json",
    # Whoever finds a secret in public need not be one of ours.
    "api/v1/leaked-keys",
}
# They decide by themselves: the console and the reference send strangers to the sign-in; unknown addresses
# are 404.
SELF_GUARDED = {"api_reference", "console", "unknown_address", "unknown_page"}


def test_every_model_is_owned_by_an_organization_or_on_the_short_list() -> None:
    unowned = {model._meta.label for model in apps.get_models() if not issubclass(model, TenantOwned)}
    assert unowned == SHARED_MODELS


def test_every_tenant_table_has_forced_row_level_security(stores: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
                   EXISTS (SELECT FROM pg_policies p
                           WHERE p.tablename = c.relname AND p.policyname = 'tenant')
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE a.attname = 'organization_id' AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
              AND c.relnamespace = 'public'::regnamespace
            """
        )
        tables = {name: (forced, has_policy) for name, forced, has_policy in cursor.fetchall()}
    owned = {model._meta.db_table for model in apps.get_models() if issubclass(model, TenantOwned)}
    assert owned <= tables.keys()
    assert {name for name, state in tables.items() if state != (True, True)} == set()


def test_every_foreign_key_between_tenants_tables_includes_the_organization(stores: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE contype = 'f' AND conparentid = 0 AND confrelid IN (
                SELECT attrelid FROM pg_attribute WHERE attname = 'organization_id' AND NOT attisdropped)
            """
        )
        keys = cursor.fetchall()
    assert keys
    assert [key for key in keys if "organization_id" not in key[2]] == []


def test_only_the_listed_files_cross_tenants() -> None:
    crossing = {
        str(path.relative_to(REPOSITORY))
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*.py")
        if re.search(r"\bacross_tenants\b", path.read_text())
    }
    assert crossing == MAY_CROSS_TENANTS


def test_every_address_names_its_permission_or_is_on_the_public_list() -> None:
    unnamed = set()
    for pattern, view in addresses(get_resolver().url_patterns):
        endpoint = getattr(view, "view_class", None) or getattr(view, "cls", None)
        if endpoint is not None and issubclass(endpoint, Endpoint):
            assert named_permissions(endpoint) <= set(Permission), pattern
            assert named_permissions(endpoint), pattern
        elif getattr(view, "__name__", "") not in SELF_GUARDED:
            unnamed.add(pattern)
    assert unnamed == PUBLIC_ADDRESSES


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        here = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, here)
        else:
            yield here, pattern.callback


def named_permissions(endpoint: type[Endpoint]) -> set[Permission]:
    methods = [m.upper() for m in endpoint.http_method_names if m != "options" and hasattr(endpoint, m)]
    return {endpoint.permission_for(method) for method in methods if method != "HEAD"}


def test_the_lists_of_this_guard_name_real_files() -> None:
    missing = {name for name in MAY_CROSS_TENANTS if not Path(REPOSITORY, name).is_file()}
    assert missing == set()
