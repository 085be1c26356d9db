"""An organization's encryption: the master key that it brings, rotation, re-encryption."""

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.crypto import keys, own, reencryption, renewal
from kernel.crypto.errors import CiphertextAltered, KeyRefused, KeyUnavailable
from kernel.crypto.models import OwnKey
from kernel.crypto.own import AWS_KMS, VAULT
from kernel.crypto.providers import tenants_kms
from kernel.egress import destinations
from kernel.egress.errors import EgressFault
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from kernel.ids import render, uuid7
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.organizations.models import Organization

SET = "tenants.encryption_key.set.v1"
REMOVED = "tenants.encryption_key.removed.v1"
ROTATED = "tenants.encryption_key.rotated.v1"
REFUSED = "tenants.encryption_key.refused.v1"
RESTORED = "tenants.encryption_key.restored.v1"
# As long as keys that were unwrapped before go on being used.
AWAY_FOR = timedelta(seconds=300)
PROBED_AT_ONCE = 8
NAME = re.compile(r"[A-Za-z0-9][\w./-]{0,199}")

log = structlog.get_logger()


class OwnKeyUnusable(InvalidRequest):
    """The key that was named does not wrap and unwrap."""

    code = "encryption_key_unusable"
    message = (
        "The key could not be used: it must exist, be enabled, and let us encrypt and decrypt with the "
        "access that was given."
    )


class OwnKeyAbsent(NotFound):
    """The organization has brought no key."""

    code = "encryption_key_absent"
    message = "The organization has no encryption key of its own."


@dataclass(frozen=True)
class OwnKeyWish:
    """A key in AWS KMS (`key` is its ARN, `role` what we assume) or in Vault's transit engine."""

    provider: str
    key: str
    role: str = ""
    address: str = ""
    mount: str = "transit"
    namespace: str = ""
    token: str = field(default="", repr=False)


def bring_key(organization_id: UUID, wish: OwnKeyWish) -> OwnKey:
    """Put all keys of the organization under a master key that it keeps itself; or, where it is the one that
    it has already, change how we get at it. Asks that key, so hold no transaction.

    Raises `InvalidRequest`, `EgressFault`, `OwnKeyUnusable`, `KeysChanged`, `KeyUnavailable`.
    """
    _check(wish)
    own_key = _row_of(organization_id, wish)
    before = own.find(organization_id)
    if before is not None and _is_same(before, own_key):
        own_key = _with_other_access(before, wish)
        _try(own_key)
        with acting_for(organization_id):
            OwnKey.objects.filter(pk=own_key.pk).update(role=own_key.role, sealed_token=own_key.sealed_token)
    else:
        _try(own_key)
        renewal.move(organization_id, own_key)
    with acting_for(organization_id):
        record("encryption_key.set", _public_id(organization_id), provider=wish.provider, key=wish.key)
        _tell(SET, organization_id)
    renewal.finish(organization_id)
    watch(organization_id)
    with acting_for(organization_id):
        own_key.refresh_from_db()
    return own_key


def remove_key(organization_id: UUID) -> None:
    """Put all keys under the platform's master keys alone again. Raises `OwnKeyAbsent`, `KeyUnavailable`."""
    if own.find(organization_id) is None:
        raise OwnKeyAbsent
    renewal.move(organization_id, None)
    with acting_for(organization_id):
        record("encryption_key.remove", _public_id(organization_id))
        _tell(REMOVED, organization_id)
    renewal.finish(organization_id)


def rotate(organization_id: UUID) -> None:
    """A fresh key for content and one for people from now on, all under fresh master keys; nothing is written
    anew that is stored. Raises `KeyUnavailable`, `KeysChanged`.
    """
    keys.rotate_key(organization_id)
    keys.next_people_key(organization_id)
    renewal.move(organization_id, own.find(organization_id))
    with acting_for(organization_id):
        record("encryption_key.rotate", _public_id(organization_id))
        _tell(ROTATED, organization_id)
    renewal.renew_people(organization_id)


def retire_older(organization_id: UUID) -> int:
    """Empty the older keys once nothing is under them; answers how many. Raises `OldKeysInUse`."""
    retired = reencryption.retire_older_keys(organization_id)
    with acting_for(organization_id):
        record("encryption_key.retire", _public_id(organization_id), retired=retired)
    return retired


def watch_all() -> None:
    """Ask every key that an organization keeps itself whether we may still use it."""
    with across_tenants():
        ids = list(OwnKey.objects.order_by("pk").values_list("organization_id", flat=True))
    with ThreadPoolExecutor(max_workers=PROBED_AT_ONCE, thread_name_prefix="own-keys") as probes:
        list(probes.map(_watch_apart, ids))


def watch(organization_id: UUID) -> None:
    """Take the organization out of service while its own key refuses, and let it go on afterwards."""
    row = keys.newest(organization_id, keys.CONTENT)
    if row is None or own.find(organization_id) is None:
        return
    fault: Exception | None = None
    try:
        keys.unwrap_row(row)
    except (KeyUnavailable, CiphertextAltered) as found:
        fault = found
    with acting_for(organization_id):
        if fault is None:
            OwnKey.objects.update(answered_at=Now(), refused_at=None)
            _let_go_on(organization_id)
        else:
            _take_out(organization_id, refuses=not _is_only_away(fault))


def _watch_apart(organization_id: UUID) -> None:
    try:
        watch(organization_id)
    except Exception:
        log.exception("encryption_key.watch_failed", organization_id=str(organization_id))
    finally:
        connection.close()


def _is_only_away(fault: Exception) -> bool:
    return isinstance(fault, KeyUnavailable) and not isinstance(fault, KeyRefused)


def _take_out(organization_id: UUID, *, refuses: bool) -> None:
    own_key = OwnKey.objects.select_for_update().first()
    if own_key is None or own_key.refused_at is not None:
        return
    is_long_away = OwnKey.objects.filter(pk=own_key.pk, answered_at__lt=Now() - AWAY_FOR).exists()
    if not refuses and not is_long_away:
        return
    OwnKey.objects.update(refused_at=Now())
    Organization.objects.filter(pk=organization_id).update(key_refused_at=Now())
    record("encryption_key.refuse", _public_id(organization_id), answers=refuses)
    _tell(REFUSED, organization_id)


def _let_go_on(organization_id: UUID) -> None:
    refused = Organization.objects.filter(pk=organization_id, key_refused_at__isnull=False)
    if refused.update(key_refused_at=None):
        record("encryption_key.restore", _public_id(organization_id))
        _tell(RESTORED, organization_id)


def _check(wish: OwnKeyWish) -> None:
    if wish.provider == AWS_KMS:
        if not tenants_kms.KEY.fullmatch(wish.key):
            raise InvalidRequest(
                "'key' must be the ARN of a key in AWS KMS (arn:aws:kms:…:key/…).", param="key"
            )
        if not tenants_kms.is_of_one_account(wish.key, wish.role):
            raise InvalidRequest("'role' must be the ARN of a role in the key's account.", param="role")
        return
    if not NAME.fullmatch(wish.key) or ".." in wish.key:
        raise InvalidRequest("'key' must be the name of a key in the transit engine.", param="key")
    if not NAME.fullmatch(wish.mount) or ".." in wish.mount:
        raise InvalidRequest("'mount' must be the path of a transit engine.", param="mount")
    if not wish.token or not wish.token.isascii() or not wish.token.isprintable():
        raise InvalidRequest("'token' must be a token of Vault.", param="token")
    try:
        destinations.check(wish.address)
    except EgressFault as fault:
        fault.param = "address"
        raise


def _row_of(organization_id: UUID, wish: OwnKeyWish) -> OwnKey:
    in_vault = wish.provider == VAULT
    row = OwnKey(
        id=uuid7(),
        organization_id=organization_id,
        provider=wish.provider,
        key=wish.key,
        role="" if in_vault else wish.role,
        address=wish.address.rstrip("/") if in_vault else "",
        mount=wish.mount if in_vault else "",
        namespace=wish.namespace if in_vault else "",
    )
    own.seal_token(row, wish.token if in_vault else "", keys.key_for(keys.PLATFORM))
    return row


def _is_same(one: OwnKey, other: OwnKey) -> bool:
    names = ("provider", "key", "address", "mount", "namespace")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _with_other_access(own_key: OwnKey, wish: OwnKeyWish) -> OwnKey:
    if wish.provider == AWS_KMS:
        own_key.role = wish.role
    else:
        own.seal_token(own_key, wish.token, keys.key_for(keys.PLATFORM))
    return own_key


def _try(own_key: OwnKey) -> None:
    """A round trip through the key. Raises `OwnKeyUnusable`."""
    sample, context = secrets.token_bytes(32), {"organization_id": str(own_key.organization_id)}
    try:
        outer = keys.outer_key(own_key)
        if outer.unwrap(outer.wrap(sample, context), context) == sample:
            return
    except (KeyUnavailable, CiphertextAltered) as fault:
        raise OwnKeyUnusable from fault
    raise OwnKeyUnusable


def _public_id(organization_id: UUID) -> str:
    return render("org", organization_id)


def _tell(name: str, organization_id: UUID) -> None:
    emit(
        Happening(
            name,
            aggregate_id=organization_id,
            resource="encryption_key",
            resource_id=_public_id(organization_id),
        )
    )
