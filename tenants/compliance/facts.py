"""What evidence reports say of tenancy, access, keys, the audit log and this room, computed when asked."""

from datetime import timedelta
from typing import Any

import django
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from kernel.audit.models import AuditCheckpoint, AuditEntry, UnsealedEntry
from kernel.crypto import signing
from kernel.crypto.columns import sealed_columns
from kernel.crypto.models import OrganizationKey
from kernel.crypto.signing import SignatureRefused
from kernel.ports.evidence import Fact, tells
from kernel.ports.holdings import Erasure
from tenants.access.assurance import FACTORS
from tenants.access.models import ApiKey, Member
from tenants.compliance import holdings, rules
from tenants.compliance.execution import certificates
from tenants.compliance.models import Certificate, ErasureRequest, ErasureState, Export, RetentionRun
from tenants.datasets.models import File
from tenants.organizations.models import LegalHold, Organization

# Article 12(3) of the GDPR: within one month.
ANSWERED_WITHIN = timedelta(days=30)
RETAINED_WITHIN = timedelta(days=2)
YEAR = timedelta(days=365)
SEALED_WITHIN = timedelta(minutes=1)
MONTH = timedelta(days=30)
OPEN = (ErasureState.FINDING, ErasureState.PLANNED, ErasureState.ERASING, ErasureState.FAILED)


@tells("row_level_security")
def row_level_security() -> Fact:
    """Tables with an organization's rows that PostgreSQL itself keeps apart."""
    states = _rows(
        "SELECT c.relrowsecurity AND c.relforcerowsecurity AND EXISTS "
        "(SELECT FROM pg_policy p WHERE p.polrelid = c.oid) "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE a.attname = 'organization_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') "
        "AND c.relnamespace = 'public'::regnamespace"
    )
    forced = sum(1 for (state,) in states if state)
    return Fact(
        title="Tables with forced row-level security",
        value=f"{forced} of {len(states)}",
        met=bool(states) and forced == len(states),
        how="pg_class.relrowsecurity and relforcerowsecurity, and a policy, of every table that has an "
        "organization_id",
        of_deployment=True,
    )


@tells("application_role")
def application_role() -> Fact:
    """The database role that serves requests."""
    ((name, above),) = _rows(
        "SELECT rolname, rolsuper OR rolbypassrls OR EXISTS "
        "(SELECT FROM pg_class c WHERE c.relowner = r.oid) FROM pg_roles r WHERE rolname = current_user"
    )
    return Fact(
        title="The application's database role is no superuser, owns no table and cannot pass by policies",
        value=name,
        met=not above,
        how="pg_roles.rolsuper and rolbypassrls, pg_class.relowner of current_user",
        of_deployment=True,
    )


@tells("transport")
def transport() -> Fact:
    """Whether people reach the platform encrypted."""
    secure = settings.PUBLIC_URL.startswith("https://") and settings.SESSION_COOKIE_SECURE
    return Fact(
        title="Encrypted on the way (TLS), cookies for TLS only",
        value=settings.PUBLIC_URL,
        met=secure,
        how="the settings PUBLIC_URL and SESSION_COOKIE_SECURE of the running process",
        of_deployment=True,
    )


@tells("schema")
def schema() -> Fact:
    """Whether the database is as the code wants it."""
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Fact(
        title="Changes of the database schema that were not applied",
        value=len(waiting),
        met=not waiting,
        how="django.db.migrations: the plan from the applied migrations to those of the code",
        of_deployment=True,
    )


@tells("versions")
def versions() -> Fact:
    """What runs."""
    ((server,),) = _rows("SHOW server_version")
    return Fact(
        title="Versions",
        value=f"Loomworks {settings.VERSION}, Django {django.get_version()}, PostgreSQL {server.split()[0]}",
        met=None,
        how="the running process and its database server",
        of_deployment=True,
    )


@tells("sealed_columns")
def sealed_columns_fact() -> Fact:
    """Columns whose values are ciphertext."""
    found = list(sealed_columns())
    return Fact(
        title="Database columns with content or secrets that are sealed under the organization's or a "
        "person's key",
        value=len(found),
        met=bool(found),
        how="kernel.crypto.columns: the sealed columns of every table",
        of_deployment=True,
    )


@tells("encryption_key")
def encryption_key() -> Fact:
    """The organization's key and who keeps it."""
    newest = OrganizationKey.objects.filter(destroyed_at=None).order_by("-version").first()
    value = "none yet"
    if newest is not None:
        days = (timezone.now() - newest.created_at).days
        value = f"version {newest.version}, {days} days old, wrapped by {newest.provider_key_id[:100]}"
    return Fact(
        title="The key under which the organization's content is encrypted",
        value=value,
        met=newest is not None or None,
        how="the newest of the organization's keys that is not destroyed, and which master key wraps it",
    )


@tells("second_factor")
def second_factor() -> Fact:
    """How many members have a second factor."""
    people = Member.objects.filter(deactivated_at=None).values_list("user_id", flat=True)
    members = set(people)
    having = Authenticator.objects.filter(user_id__in=members, type__in=FACTORS)
    count = len(set(having.values_list("user_id", flat=True)))
    required = Organization.objects.get().require_mfa
    return Fact(
        title="Members with a second factor",
        value=f"{count} of {len(members)}" + (" (required)" if required else ""),
        met=required or count == len(members),
        how="active members that have an authenticator app or a passkey, and whether one is required",
    )


@tells("single_sign_on")
def single_sign_on() -> Fact:
    """Whether people come by the organization's identity provider."""
    required = Organization.objects.get().require_sso
    return Fact(
        title="Single sign-on",
        value="required" if required else "not required",
        met=True if required else None,
        how="the organization's policy",
    )


@tells("api_keys")
def api_keys() -> Fact:
    """The programs' keys."""
    living = ApiKey.objects.filter(revoked_at=None)
    return Fact(
        title="API keys in use, and those of them that never expire",
        value=f"{living.count()}, {living.filter(expires_at=None).count()}",
        met=None,
        how="keys that are not revoked; only keyed hashes of them are stored",
    )


@tells("audit_log")
def audit_log() -> Fact:
    """How much the log has and since when."""
    since = timezone.now() - MONTH
    recent = AuditEntry.objects.filter(occurred_at__gte=since)
    last = AuditEntry.objects.order_by("-occurred_at").values_list("occurred_at", flat=True).first()
    return Fact(
        title="Entries in the audit log in the last 30 days, refusals among them, and the last one",
        value=f"{recent.count()}, {recent.filter(outcome='denied').count()}, {_moment(last)}",
        met=last is not None,
        how="the organization's rows of the audit log",
    )


@tells("audit_seals")
def audit_seals() -> Fact:
    """How far the log is sealed, and until when signed checkpoints vouch for it."""
    last = AuditCheckpoint.objects.order_by("-entries").first()
    late = AuditEntry.objects.filter(pk__in=UnsealedEntry.objects.values("pk"))
    late = late.filter(occurred_at__lt=timezone.now() - SEALED_WITHIN)
    return Fact(
        title="Entries of the audit log under a signed checkpoint, when it was made, and entries that wait "
        "for their seal for longer than a minute",
        value=f"{last.entries if last else 0}, {_moment(last.made_at if last else None)}, {late.count()}",
        met=last is not None and not late.exists(),
        how="the last checkpoint of the organization's chain, and the entries that have no seal",
    )


@tells("audit_append_only")
def audit_append_only() -> Fact:
    """Whether the database refuses changes to the log."""
    found = _rows(
        "SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = %s::regclass AND t.tgenabled IN ('O', 'A') "
        "AND t.tgname IN ('append_only', 'append_only_truncate')",
        [AuditEntry._meta.db_table],
    )
    return Fact(
        title="The audit log refuses changes, from everybody",
        value=", ".join(sorted(name for (name,) in found)),
        met=len(found) == 2,
        how="pg_trigger: the enabled triggers against UPDATE, DELETE and TRUNCATE",
        of_deployment=True,
    )


@tells("inventory")
def inventory() -> Fact:
    """What is held, of whom."""
    tables = holdings.tables()
    personal = [model.holding.kind for model in tables if model.holding.erased is not Erasure.NOBODY]
    return Fact(
        title="Kinds of data, and those about people",
        value=f"{len(tables)}; about people: {', '.join(personal)}",
        met=True,
        how="the declaration of every table that holds an organization's rows",
        of_deployment=True,
    )


@tells("provenance")
def provenance() -> Fact:
    """How many files say by which right their rows are here."""
    files = File.objects.filter(deleted_at=None)
    recorded, count = files.exclude(legal_basis="").count(), files.count()
    return Fact(
        title="Files whose legal basis is recorded",
        value=f"{recorded} of {count}",
        met=recorded == count if count else None,
        how="files that are not deleted and have a legal basis",
    )


@tells("exports")
def exports() -> Fact:
    """How many copies were made."""
    made = Export.objects.filter(created_at__gte=timezone.now() - YEAR)
    done = made.exclude(finished_at=None).exclude(state__in=["failed", "cancelled"])
    return Fact(
        title="Copies of data that were asked for in the last year, and those that were made",
        value=f"{made.count()}, {done.count()}",
        met=None if not made.exists() else not made.filter(state="failed").exists(),
        how="the organization's exports",
    )


@tells("erasures")
def erasures() -> Fact:
    """Whether what was demanded was done in time."""
    open_requests = ErasureRequest.objects.filter(state__in=OPEN)
    late = open_requests.filter(created_at__lt=timezone.now() - ANSWERED_WITHIN).count()
    done = ErasureRequest.objects.filter(state=ErasureState.COMPLETED).count()
    return Fact(
        title="Erasures done, open, and open for longer than 30 days",
        value=f"{done}, {open_requests.count()}, {late}",
        met=not late if done or open_requests.exists() else None,
        how="the organization's requests for erasure by state and age",
    )


@tells("certificates")
def certificates_fact() -> Fact:
    """Whether every certificate verifies now."""
    found = list(Certificate.objects.all())
    good = sum(1 for certificate in found if _verifies(certificate))
    missing = ErasureRequest.objects.filter(state=ErasureState.COMPLETED, certificate=None).count()
    return Fact(
        title="Erasure certificates whose signature verifies",
        value=f"{good} of {len(found) + missing}",
        met=good == len(found) + missing if found or missing else None,
        how="each certificate's Ed25519 signature, verified now with the platform's public keys",
    )


@tells("retention")
def retention() -> Fact:
    """Whether retention ran lately."""
    last = RetentionRun.objects.exclude(finished_at=None).order_by("-pk").first()
    finished = last.finished_at if last else None
    return Fact(
        title="The last enforcement of retention",
        value=_moment(finished),
        met=finished is not None and timezone.now() - finished < RETAINED_WITHIN,
        how="the newest finished retention run",
    )


@tells("retention_rules")
def retention_rules() -> Fact:
    """What is kept for how long."""
    chosen = [f"{rule.kind}: {rule.days} days" for rule in rules.in_force() if rule.days is not None]
    return Fact(
        title="Kinds of data that are kept for a number of days",
        value="; ".join(chosen),
        met=bool(chosen),
        how="the organization's retention policies, and the platform's where it chose none",
    )


@tells("legal_holds")
def legal_holds() -> Fact:
    """What must not be erased."""
    return Fact(
        title="Legal holds in force",
        value=LegalHold.objects.filter(lifted_at=None).count(),
        met=None,
        how="the organization's legal holds that are not lifted",
    )


def _verifies(certificate: Certificate) -> bool:
    signature = bytes(certificate.signature)
    try:
        certificates.verify(certificate.document, certificate.key_id, signature, signing.public_keys())
    except (SignatureRefused, ValueError):
        return False
    return True


def _rows(statement: str, values: Any = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _moment(moment: Any) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"
