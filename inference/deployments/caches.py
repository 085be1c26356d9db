"""The cache of answers as the control plane has it: each organization's secret in the serving snapshot.

The secret follows from the organization's key-encryption key and the generation of its cache, so that it is
another one after a rotation and a clearing, and none once the key is refused or destroyed.
"""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import orjson
import structlog
from django.conf import settings

from inference.deployments.models import CacheGeneration
from inference.deployments.valkey import valkey
from inference.deployments.writing import hold, write
from inference.gateway.cache.secret import is_sealed_by, seal_secret, sealing_key, secret_of
from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyUnavailable
from kernel.crypto.models import OrganizationKey
from kernel.tenancy.scope import acting_for
from tenants.organizations.models import Organization, OrganizationState

CACHE_PREFIX = "lw:snapshot:cache:"
ENTRIES = "lw:cache:{{{organization_id}}}:*"
# Whoever chose that wants nothing of a request kept for a day, sealed or not.
KEEPS_NOTHING = "enhanced_zero_data_retention"
SCAN = 1_000

log = structlog.get_logger()


@dataclass(frozen=True)
class Standing:
    """What an organization's cache secret follows from now."""

    key_id: UUID
    generation: int


def begin(organization_id: UUID) -> int:
    """Give an organization a cache that has not sealed anything yet, and so has no key; see `publish`."""
    try:
        keys.key_for(organization_id)
    except (KeyDestroyed, KeyUnavailable) as fault:
        log.warning("cache.no_key", organization_id=str(organization_id), fault=fault.code)
    return publish(organization_id)


def publish(organization_id: UUID) -> int:
    """Publish the organization's secret as it is now, or take it back; answers how many entries changed.

    Hold no transaction: the provider of the organization's key may be asked. Raises `redis.RedisError`.
    """
    while True:
        with acting_for(organization_id):
            standing = standings([organization_id]).get(organization_id)
        value = None if standing is None else _value(organization_id, standing)
        with acting_for(organization_id):
            hold()
            if standings([organization_id]).get(organization_id) == standing:
                return write({name_of(organization_id): value})


def standings(organization_ids: Collection[UUID]) -> Mapping[UUID, Standing]:
    """What the secrets of those follow from that have a cache now; reads in the current scope."""
    serving = Organization.objects.filter(pk__in=organization_ids, key_refused_at=None)
    serving = serving.exclude(state=OrganizationState.CLOSED).exclude(data_retention=KEEPS_NOTHING)
    serving_ids = set(serving.values_list("pk", flat=True))
    generations = dict(
        CacheGeneration.objects.filter(organization_id__in=serving_ids).values_list(
            "organization_id", "number"
        )
    )
    rows = OrganizationKey.objects.filter(organization_id__in=serving_ids, purpose=keys.CONTENT)
    newest = rows.order_by("organization_id", "-version").distinct("organization_id")
    return {
        row.organization_id: Standing(row.pk, generations.get(row.organization_id, 1))
        for row in newest
        if row.destroyed_at is None
    }


def differing(organization_ids: Collection[UUID]) -> list[UUID]:
    """Those of which something else is published than is so; reads in the current scope.

    Asks no provider of keys, so that all can be compared each minute. Raises `redis.RedisError`.
    """
    if not organization_ids:
        return []
    wanted = standings(organization_ids)
    published = cast(list[bytes | None], valkey().mget([name_of(pk) for pk in organization_ids]))
    return [
        pk
        for pk, value in zip(organization_ids, published, strict=True)
        if not (pk in wanted and is_value_of(value, wanted[pk])) and not (pk not in wanted and value is None)
    ]


def withdraw(organization_id: UUID) -> None:
    """Take the secret back and drop the entries. Raises `redis.RedisError`."""
    with acting_for(organization_id):
        hold()
        write({name_of(organization_id): None})
    drop_entries(organization_id)


def drop_entries(organization_id: UUID) -> int:
    """Drop all answers that are kept; answers how many keys that were. Raises `redis.RedisError`."""
    pattern = ENTRIES.format(organization_id=organization_id)
    names = list(valkey().scan_iter(match=pattern, count=SCAN))
    for start in range(0, len(names), SCAN):
        valkey().unlink(*names[start : start + SCAN])
    return len(names)


def name_of(organization_id: UUID) -> str:
    """The snapshot's name for the organization's secret."""
    return CACHE_PREFIX + str(organization_id)


def is_value_of(value: bytes | None, standing: Standing) -> bool:
    """Whether what is published follows from this, and is sealed for the gateways as they are now."""
    if value is None:
        return False
    try:
        document: dict[str, Any] = orjson.loads(value)
        sealed = base64.b64decode(document["sealed"], validate=True)
        follows = (document["key_id"], document["generation"]) == (str(standing.key_id), standing.generation)
        return follows and is_sealed_by(sealing_key(settings.API_KEY_PEPPER), sealed)
    except (ValueError, KeyError, TypeError, CiphertextAltered):
        return False


def _value(organization_id: UUID, standing: Standing) -> bytes | None:
    """The entry; what is published already where that is right, and None where the key cannot be had."""
    present = cast(bytes | None, valkey().get(name_of(organization_id)))
    if is_value_of(present, standing):
        return present
    try:
        with acting_for(organization_id):
            row = OrganizationKey.objects.get(pk=standing.key_id)
        secret = secret_of(keys.unwrap_row(row), organization_id, standing.generation)
    except (KeyDestroyed, KeyUnavailable, CiphertextAltered) as fault:
        log.warning("cache.no_key", organization_id=str(organization_id), fault=fault.code)
        return None
    sealed = seal_secret(sealing_key(settings.API_KEY_PEPPER), secret, organization_id, standing.generation)
    return orjson.dumps(
        {
            "organization_id": str(organization_id),
            "key_id": str(standing.key_id),
            "generation": standing.generation,
            "sealed": base64.b64encode(sealed).decode(),
        }
    )
