"""Master keys in HashiCorp Vault's transit engine, one transit key for each root."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hvac
import requests
from hvac import exceptions

from kernel.crypto.errors import CiphertextAltered, KeyRefused, KeyUnavailable
from kernel.crypto.providers.interface import Context, canonical, named

SCHEME = "vault"
CONNECT_SECONDS, READ_SECONDS = 2.0, 3.0
ALGORITHM = "aes256-gcm96"
REFUSALS = (exceptions.Forbidden, exceptions.Unauthorized, exceptions.InvalidPath, exceptions.InvalidRequest)
# Vault says so in words only.
ALTERED = ("message authentication failed", "invalid ciphertext", "could not decode", "unable to decode")


@dataclass(frozen=True)
class VaultPlace:
    """Where a transit engine is. `ca_file` names the authorities to believe; empty: the public ones."""

    address: str
    mount: str = "transit"
    namespace: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class VaultTransit:
    """The key provider. `token` is asked for at each call, since agents renew what they were given.

    `session` speaks HTTP; one for addresses that tenants name goes through `kernel.egress`.
    """

    place: VaultPlace
    token: Callable[[], str] = field(repr=False)
    session: requests.Session | None = None

    def make_root(self, name: str) -> str:
        with _named_faults():
            self._transit().create_key(name, key_type=ALGORITHM, mount_point=self.place.mount)
        return f"{SCHEME}:{name}"

    def destroy_root(self, root: str) -> None:
        transit, mount = self._transit(), self.place.mount
        with _named_faults():
            if not self._exists(transit, named(root)):
                return
            transit.update_key_configuration(named(root), deletion_allowed=True, mount_point=mount)
            transit.delete_key(named(root), mount_point=mount)

    def wrap(self, root: str, key: bytes, context: Context) -> bytes:
        with _named_faults():
            answer = self._transit().encrypt_data(
                named(root),
                plaintext=_text(key),
                associated_data=_text(canonical(context)),
                mount_point=self.place.mount,
            )
            return str(answer["data"]["ciphertext"]).encode()

    def unwrap(self, root: str, wrapped: bytes, context: Context) -> bytes:
        with _named_faults():
            answer = self._transit().decrypt_data(
                named(root),
                ciphertext=wrapped.decode("latin-1"),
                associated_data=_text(canonical(context)),
                mount_point=self.place.mount,
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)

    def _exists(self, transit: Any, name: str) -> bool:
        try:
            transit.read_key(name, mount_point=self.place.mount)
        except exceptions.InvalidPath:
            return False
        return True

    def _transit(self) -> Any:
        client = hvac.Client(
            url=self.place.address,
            token=self.token(),
            namespace=self.place.namespace or None,
            verify=self.place.ca_file or True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            session=self.session,
            allow_redirects=False,
        )
        return client.secrets.transit


@contextmanager
def _named_faults() -> Iterator[None]:
    try:
        yield
    except exceptions.InvalidRequest as fault:
        if any(words in str(fault) for words in ALTERED):
            raise CiphertextAltered from fault
        raise KeyRefused from fault
    except REFUSALS as fault:
        raise KeyRefused from fault
    except (exceptions.VaultError, requests.RequestException, KeyError, TypeError, ValueError) as fault:
        # An answer that is none of Vault's is as good as no answer.
        raise KeyUnavailable from fault


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
