"""Key-encryption keys under their master keys: the platform's, and around it the organization's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

from django.db import connection

from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.models import OrganizationKey, RetiredRoot
from kernel.crypto.own import OuterKey
from kernel.crypto.providers.chosen import chosen, provider_of, shared_root
from kernel.crypto.values import KeyEncryptionKey
from kernel.ids import uuid7
from kernel.tenancy.scope import across_tenants, acting_for

T = TypeVar("T")


def new_root(organization_id: UUID, purpose: str) -> str:
    """A fresh master key for one purpose of one organization. Raises `KeyUnavailable`."""
    return chosen().make_root(f"{organization_id}-{purpose}-{uuid7().hex}")


def wrap(key: KeyEncryptionKey, root: str, organization_id: UUID, outer: OuterKey | None) -> bytes:
    """The key wrapped by the root, and by the organization's own key if there is one.

    Both hold: what we destroy nobody opens, nor what the organization does not let us open. Raises
    `KeyUnavailable`.
    """
    context = _context(organization_id, key.key_id)
    wrapped = provider_of(root).wrap(root, key.secret, context)
    return wrapped if outer is None else outer.wrap(wrapped, context)


def unwrap(row: OrganizationKey, outer: OuterKey | None) -> KeyEncryptionKey:
    """The key itself. Raises `KeyDestroyed`, `KeyUnavailable`, `CiphertextAltered`."""
    if row.destroyed_at is not None:
        raise KeyDestroyed
    context = _context(row.organization_id, row.pk)
    wrapped = bytes(row.wrapped_key)
    if outer is not None:
        wrapped = outer.unwrap(wrapped, context)
    root = row.provider_key_id
    return KeyEncryptionKey(row.pk, provider_of(root).unwrap(root, wrapped, context))


def retire_roots(roots: set[str]) -> None:
    """Note what is to be destroyed, in the transaction that leaves these roots without a use."""
    for root in sorted(roots - {shared_root()}):
        RetiredRoot(root=root).save(force_insert=True)


def destroy_retired_roots(organization_id: UUID) -> int:
    """Destroy the organization's roots that nothing uses any more; answers how many. Safe to repeat.

    One that another organization still uses waits for it. Raises `KeyUnavailable`; what is left then is
    destroyed by the next call.
    """
    with acting_for(organization_id):
        waiting = list(RetiredRoot.objects.order_by("pk"))
    unused = [retired for retired in waiting if not _is_in_use(retired.root)]
    for retired in unused:
        provider_of(retired.root).destroy_root(retired.root)
        with acting_for(organization_id):
            RetiredRoot.objects.filter(pk=retired.pk).delete()
    return len(unused)


def _is_in_use(root: str) -> bool:
    with across_tenants():
        return OrganizationKey.objects.filter(provider_key_id=root, destroyed_at=None).exists()


def committed_apart(insert: Callable[[], T]) -> T:
    """Do it on a connection of its own where a transaction is open.

    A key must outlive whatever is sealed with it: made inside a transaction that rolls back later, it would
    be gone while this process goes on sealing with it.
    """
    if not connection.in_atomic_block:
        return insert()
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(_and_close, insert).result()


def _and_close(insert: Callable[[], T]) -> T:
    try:
        return insert()
    finally:
        connection.close()


def _context(organization_id: UUID, key_id: UUID) -> dict[str, str]:
    return {"organization_id": str(organization_id), "key_id": str(key_id)}
