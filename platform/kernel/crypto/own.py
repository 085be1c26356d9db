"""Master keys that organizations keep themselves: how they are asked."""

from dataclasses import dataclass
from uuid import UUID

from kernel.crypto.models import OwnKey
from kernel.crypto.providers import kms, vault
from kernel.crypto.providers.guarded import guarded_session
from kernel.crypto.providers.interface import Context, KeyProvider
from kernel.crypto.providers.tenants_kms import kms_of_tenant
from kernel.crypto.values import KeyEncryptionKey, KeyFinder, bind, key_id_of, open_value, seal_value
from kernel.tenancy.scope import across_tenants, acting_for

AWS_KMS, VAULT = "aws_kms", "vault"


@dataclass(frozen=True)
class OuterKey:
    """A master key of the organization's, around the platform's."""

    own_key_id: UUID
    provider: KeyProvider
    root: str

    def wrap(self, wrapped: bytes, context: Context) -> bytes:
        """Wrap once more. Raises `KeyUnavailable`."""
        return self.provider.wrap(self.root, wrapped, context)

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """Undo `wrap`. Raises `KeyUnavailable`, `CiphertextAltered`."""
        return self.provider.unwrap(self.root, wrapped, context)


def find(organization_id: UUID) -> OwnKey | None:
    """The organization's own key, if it has one."""
    with acting_for(organization_id):
        found: OwnKey | None = OwnKey.objects.first()
    return found


def outer_key(own_key: OwnKey, find_key: KeyFinder) -> OuterKey:
    """The key, asked as the organization lets us; `find_key` finds the platform's keys.

    Raises `KeyRefused`, `KeyUnavailable`.
    """
    if own_key.provider == AWS_KMS:
        keeper: KeyProvider = kms_of_tenant(own_key.key, own_key.role, own_key.organization_id)
        return OuterKey(own_key.pk, keeper, f"{kms.SCHEME}:{own_key.key}")
    token = open_token(own_key, find_key)
    place = vault.VaultPlace(own_key.address, own_key.mount, own_key.namespace)
    keeper = vault.VaultTransit(place, lambda: token, guarded_session())
    return OuterKey(own_key.pk, keeper, f"{vault.SCHEME}:{own_key.key}")


def seal_token(own_key: OwnKey, token: str, platform_key: KeyEncryptionKey) -> None:
    """Put the token into its column, under the platform's key."""
    own_key.sealed_token = seal_value(platform_key, token.encode(), token_place(own_key)) if token else b""


def reseal_tokens(platform_key: KeyEncryptionKey, find_key: KeyFinder) -> int:
    """Put every organization's token under the platform's newest key; answers how many. Safe to repeat."""
    with across_tenants():
        ids = list(OwnKey.objects.exclude(sealed_token=b"").values_list("organization_id", flat=True))
    moved = 0
    for organization_id in ids:
        with acting_for(organization_id):
            row = OwnKey.objects.select_for_update().exclude(sealed_token=b"").first()
            if row is None or key_id_of(bytes(row.sealed_token)) == platform_key.key_id:
                continue
            seal_token(row, open_token(row, find_key), platform_key)
            row.save(update_fields=["sealed_token"])
            moved += 1
    return moved


def open_token(own_key: OwnKey, find_key: KeyFinder) -> str:
    """The token in clear. Raises what `find_key` raises."""
    return open_value(find_key, bytes(own_key.sealed_token), token_place(own_key)).decode()


def token_place(own_key: OwnKey) -> bytes:
    """What the sealed token is bound to."""
    return bind("own key", own_key.organization_id, str(own_key.pk), "token")
