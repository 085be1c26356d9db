"""The permission matrix: which role may do what. The one place that says it."""

from enum import StrEnum


class Permission(StrEnum):
    """What can be allowed, named `noun.verb`."""

    # The platform's operator: plans, prices, suspension. No role of an organization holds it.
    PLATFORM_OPERATE = "platform.operate"
    # One's own sign-in, sessions and factors.
    ACCOUNT_USE = "account.use"

    ORGANIZATION_READ = "organization.read"
    ORGANIZATION_WRITE = "organization.write"
    # Close it, hand it over.
    ORGANIZATION_OWN = "organization.own"
    PROJECT_READ = "project.read"
    PROJECT_WRITE = "project.write"
    MEMBER_READ = "member.read"
    MEMBER_WRITE = "member.write"
    GROUP_READ = "group.read"
    GROUP_WRITE = "group.write"
    ROLE_READ = "role.read"
    ROLE_WRITE = "role.write"
    GRANT_READ = "grant.read"
    GRANT_WRITE = "grant.write"
    SERVICE_ACCOUNT_READ = "service_account.read"
    SERVICE_ACCOUNT_WRITE = "service_account.write"
    KEY_READ = "key.read"
    KEY_WRITE = "key.write"
    ADMIN_KEY_READ = "admin_key.read"
    ADMIN_KEY_WRITE = "admin_key.write"
    LIMIT_READ = "limit.read"
    LIMIT_WRITE = "limit.write"
    # What was used and what it cost, of the whole organization.
    USAGE_READ = "usage.read"
    # Data retention and which models may be used.
    POLICY_READ = "policy.read"
    POLICY_WRITE = "policy.write"
    # Identity providers, domains and provisioning.
    SSO_READ = "sso.read"
    SSO_WRITE = "sso.write"
    # The organization's encryption keys, its own master key among them.
    ENCRYPTION_KEY_READ = "encryption_key.read"
    ENCRYPTION_KEY_WRITE = "encryption_key.write"
    WEBHOOK_READ = "webhook.read"
    WEBHOOK_WRITE = "webhook.write"
    # Let the platform's operator look at the organization, for a time.
    SUPPORT_WRITE = "support.write"
    AUDIT_READ = "audit.read"
    # A privacy officer's: exports, erasures, legal holds, retention. Who approves an erasure may be another.
    COMPLIANCE_READ = "compliance.read"
    COMPLIANCE_WRITE = "compliance.write"
    COMPLIANCE_APPROVE = "compliance.approve"

    FILE_READ = "file.read"
    FILE_WRITE = "file.write"
    TRAINING_READ = "training.read"
    TRAINING_START = "training.start"
    MODEL_READ = "model.read"
    MODEL_WRITE = "model.write"
    DEPLOYMENT_READ = "deployment.read"
    DEPLOYMENT_WRITE = "deployment.write"
    INFERENCE_COMPLETE = "inference.complete"
    BATCH_READ = "batch.read"
    BATCH_WRITE = "batch.write"
    # Stored responses: what programs asked, and what was answered.
    RESPONSE_READ = "response.read"
    RESPONSE_WRITE = "response.write"
    CHAT_USE = "chat.use"


class Role(StrEnum):
    """A role that every organization has. Custom roles are rows (`tenants.access.models.CustomRole`)."""

    OWNER = "owner"
    ADMIN = "admin"
    DATA_ENGINEER = "data_engineer"
    MODEL_TRAINER = "model_trainer"
    DEPLOYER = "deployer"
    VIEWER = "viewer"
    END_USER = "end_user"
    AUDITOR = "auditor"


_P = Permission

# What can be allowed within an organization at all.
IN_AN_ORGANIZATION = frozenset(Permission) - {_P.PLATFORM_OPERATE}
# Whoever belongs to an organization sees its name and manages their own account.
EVERYBODY = frozenset({_P.ACCOUNT_USE, _P.ORGANIZATION_READ})
# What is done inside a project, with its data, models and deployments.
WORK = frozenset(
    {
        _P.FILE_READ,
        _P.FILE_WRITE,
        _P.TRAINING_READ,
        _P.TRAINING_START,
        _P.MODEL_READ,
        _P.MODEL_WRITE,
        _P.DEPLOYMENT_READ,
        _P.DEPLOYMENT_WRITE,
        _P.INFERENCE_COMPLETE,
        _P.BATCH_READ,
        _P.BATCH_WRITE,
        _P.RESPONSE_READ,
        _P.RESPONSE_WRITE,
        _P.CHAT_USE,
    }
)
_SEEING_WORK = frozenset(
    {_P.PROJECT_READ, _P.TRAINING_READ, _P.MODEL_READ, _P.DEPLOYMENT_READ, _P.BATCH_READ}
)
_TALKING = frozenset({_P.DEPLOYMENT_READ, _P.INFERENCE_COMPLETE, _P.CHAT_USE})
_INTEGRATING = _TALKING | {_P.RESPONSE_READ, _P.RESPONSE_WRITE}
# What administers: all that is no work with data and models, and no ownership.
ADMINISTRATION = IN_AN_ORGANIZATION - WORK - EVERYBODY - {_P.ORGANIZATION_OWN}
# How the organization is run, without its data: no file's content, no conversation.
_OVERSIGHT = frozenset(p for p in ADMINISTRATION if p.endswith(".read")) | _SEEING_WORK

MATRIX: dict[Role, frozenset[Permission]] = {
    Role.OWNER: IN_AN_ORGANIZATION,
    Role.ADMIN: IN_AN_ORGANIZATION - {_P.ORGANIZATION_OWN},
    Role.DATA_ENGINEER: EVERYBODY | _SEEING_WORK | {_P.FILE_READ, _P.FILE_WRITE},
    Role.MODEL_TRAINER: EVERYBODY
    | _SEEING_WORK
    | _INTEGRATING
    | {_P.FILE_READ, _P.TRAINING_START, _P.MODEL_WRITE, _P.BATCH_WRITE},
    Role.DEPLOYER: EVERYBODY | _SEEING_WORK | _INTEGRATING | {_P.DEPLOYMENT_WRITE},
    Role.VIEWER: EVERYBODY | _SEEING_WORK | {_P.FILE_READ},
    Role.END_USER: EVERYBODY | _TALKING,
    Role.AUDITOR: EVERYBODY | _OVERSIGHT,
}

# These roles reach every project of the organization; the others only those opened to them.
REACHES_EVERY_PROJECT = frozenset({Role.OWNER, Role.ADMIN, Role.AUDITOR})

# A project's key acts for programs: it works, and never administers nor holds conversations.
KEY_PERMISSIONS = (WORK | {_P.ORGANIZATION_READ, _P.PROJECT_READ}) - {_P.CHAT_USE}
# An administration key belongs to no project. It never makes further keys of its kind, never owns, and never
# approves what cannot be taken back.
ADMIN_KEY_PERMISSIONS = (ADMINISTRATION | {_P.ORGANIZATION_READ}) - {
    _P.ADMIN_KEY_WRITE,
    _P.SUPPORT_WRITE,
    _P.COMPLIANCE_APPROVE,
}
# What a custom role may hold: everything but ownership, which is handed over as a whole.
GRANTABLE = IN_AN_ORGANIZATION - {_P.ORGANIZATION_OWN}
# What acts on the whole organization reaches nothing where a role holds in one project only.
NEVER_IN_A_PROJECT = frozenset(
    {
        _P.ORGANIZATION_WRITE,
        _P.ORGANIZATION_OWN,
        _P.ADMIN_KEY_READ,
        _P.ADMIN_KEY_WRITE,
        _P.SSO_READ,
        _P.SSO_WRITE,
        _P.SUPPORT_WRITE,
        _P.ENCRYPTION_KEY_READ,
        _P.ENCRYPTION_KEY_WRITE,
        _P.COMPLIANCE_READ,
        _P.COMPLIANCE_WRITE,
        _P.COMPLIANCE_APPROVE,
        _P.USAGE_READ,
    }
)
