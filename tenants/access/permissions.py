"""The permission matrix: which role may do what. The one place that says it."""

from enum import StrEnum


class Permission(StrEnum):
    """What can be allowed, named `noun.verb`."""

    ORGANIZATION_READ = "organization.read"
    FILE_READ = "file.read"
    FILE_WRITE = "file.write"
    TRAINING_READ = "training.read"
    TRAINING_START = "training.start"
    MODEL_READ = "model.read"
    DEPLOYMENT_READ = "deployment.read"
    DEPLOYMENT_WRITE = "deployment.write"
    INFERENCE_COMPLETE = "inference.complete"
    CHAT_USE = "chat.use"
    KEY_READ = "key.read"
    KEY_WRITE = "key.write"
    AUDIT_READ = "audit.read"


class Role(StrEnum):
    """A member's role in an organization."""

    OWNER = "owner"
    MEMBER = "member"


OWNERS_ONLY = {Permission.KEY_READ, Permission.KEY_WRITE, Permission.AUDIT_READ}

MATRIX: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.MEMBER: frozenset(set(Permission) - OWNERS_ONLY),
}

# A key acts for programs: it never makes keys, reads the audit log or holds conversations.
KEY_PERMISSIONS = frozenset(set(Permission) - OWNERS_ONLY - {Permission.CHAT_USE})
