"""The events that customers can be told of by webhook, chosen where all rooms are known."""

from kernel.webhooks.catalogue import PublicEvent, publish

EVENTS = {
    "inference.deployment.created.v1": "A deployment was made.",
    "inference.deployment.failed.v1": "A deployment could not be brought up.",
    "inference.deployment.ready.v1": "A deployment answers.",
    "inference.deployment.started.v1": "A deployment was asked to come up.",
    "inference.deployment.stopped.v1": "A deployment was stopped.",
    "kernel.audit.checkpointed.v1": "A checkpoint of the audit log was signed; keep what it says.",
    "kernel.webhook.disabled.v1": "A webhook was disabled, because its server is gone or has long failed.",
    "tenants.api_key.changed.v1": "An API key was changed.",
    "tenants.api_key.created.v1": "An API key was made.",
    "tenants.api_key.leaked.v1": "An API key was found in public, and revoked.",
    "tenants.api_key.revoked.v1": "An API key was revoked.",
    "tenants.encryption_key.refused.v1": "The organization's own encryption key refuses its use.",
    "tenants.encryption_key.removed.v1": "The organization's own encryption key was removed.",
    "tenants.encryption_key.restored.v1": "The organization's own encryption key may be used again.",
    "tenants.encryption_key.rotated.v1": "The organization's encryption key was rotated.",
    "tenants.encryption_key.set.v1": "The organization brought its own encryption key.",
    "tenants.re_encryption.finished.v1": "Everything is under the newest encryption key.",
    "tenants.re_encryption.started.v1": "Re-encryption was started.",
    "tenants.erasure.completed.v1": "An erasure is done; it names the model versions to train again.",
    "tenants.erasure.planned.v1": "What an erasure would take is found; the plan waits for approval.",
    "tenants.file.deleted.v1": "A file was deleted.",
    "tenants.file.uploaded.v1": "A file was brought.",
    "tenants.file.validated.v1": "A file was looked through; whether it can be used is in its status.",
    "tenants.group.created.v1": "A group was made.",
    "tenants.group.deleted.v1": "A group was deleted.",
    "tenants.group.updated.v1": "A group was changed.",
    "tenants.invitation.accepted.v1": "Somebody accepted an invitation.",
    "tenants.invitation.created.v1": "Somebody was invited.",
    "tenants.invitation.deleted.v1": "An invitation was taken back.",
    "tenants.limit.reached.v1": "A limit stopped a request.",
    "tenants.limits.changed.v1": "Limits were changed.",
    "tenants.member.added.v1": "Somebody became a member.",
    "tenants.member.deactivated.v1": "A member was deactivated.",
    "tenants.member.reactivated.v1": "A member was activated again.",
    "tenants.member.removed.v1": "A member was removed.",
    "tenants.project.archived.v1": "A project was archived.",
    "tenants.project.changed.v1": "A project was changed.",
    "tenants.project.created.v1": "A project was made.",
    "tenants.role.created.v1": "A role was made.",
    "tenants.role.deleted.v1": "A role was deleted.",
    "tenants.role.updated.v1": "A role was changed.",
    "tenants.service_account.changed.v1": "A service account was changed.",
    "tenants.service_account.created.v1": "A service account was made.",
    "tenants.service_account.deleted.v1": "A service account was deleted.",
    "tenants.spend_alert.reached.v1": "Spending passed a threshold.",
    "training.job.updated.v1": "A fine-tuning job moved on; how far is in its status.",
    "training.model_version.registered.v1": "A model version came to be.",
}


def publish_all() -> None:
    """Let customers hear of them."""
    publish(*(PublicEvent(name, description) for name, description in EVENTS.items()))
