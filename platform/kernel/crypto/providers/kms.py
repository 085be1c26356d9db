"""Master keys in AWS KMS, one customer managed key for each root, or one for all if the operator says so."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kernel.crypto.errors import CiphertextAltered, KeyRefused, KeyUnavailable
from kernel.crypto.providers.interface import Context, named

SCHEME = "aws-kms"
TAG = "loomworks:root"
CONFIG = Config(
    connect_timeout=2,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
)
ALTERED = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
# It answers, and may answer otherwise in a moment.
AWAY = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalError",
        "RequestTimeout",
    }
)
GONE = frozenset({"NotFoundException", "KMSInvalidStateException"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AwsKms:
    """The key provider over a boto3 client.

    With `shared_key` (an ARN) that key wraps for every organization: it is never destroyed, so what it
    wrapped stays readable in backups of the database.
    """

    client: Any
    shared_key: str = ""
    deletion_days: int = 7

    def make_root(self, name: str) -> str:
        if self.shared_key:
            return f"{SCHEME}:{self.shared_key}"
        with named_faults():
            answer = self.client.create_key(
                Description=f"Loomworks {name}", Tags=[{"TagKey": TAG, "TagValue": name}]
            )
        return f"{SCHEME}:{answer['KeyMetadata']['Arn']}"

    def destroy_root(self, root: str) -> None:
        if named(root) == self.shared_key:
            return
        with named_faults():
            try:
                self.client.schedule_key_deletion(KeyId=named(root), PendingWindowInDays=self.deletion_days)
            except ClientError as fault:
                if _code(fault) not in GONE:
                    raise

    def wrap(self, root: str, key: bytes, context: Context) -> bytes:
        with named_faults():
            answer = self.client.encrypt(KeyId=named(root), Plaintext=key, EncryptionContext=dict(context))
            return bytes(answer["CiphertextBlob"])

    def unwrap(self, root: str, wrapped: bytes, context: Context) -> bytes:
        with named_faults():
            answer = self.client.decrypt(
                KeyId=named(root), CiphertextBlob=wrapped, EncryptionContext=dict(context)
            )
            return bytes(answer["Plaintext"])


@contextmanager
def named_faults() -> Iterator[None]:
    """Turn what boto3 raises into `CiphertextAltered`, `KeyRefused` and `KeyUnavailable`."""
    try:
        yield
    except ClientError as fault:
        code = _code(fault)
        logger.warning("AWS KMS answers %s to %s", code, fault.operation_name)
        if code in ALTERED:
            raise CiphertextAltered from fault
        status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        raise (KeyUnavailable if code in AWAY or status >= 500 else KeyRefused) from fault
    except (BotoCoreError, KeyError) as fault:
        logger.warning("AWS KMS does not answer: %s", type(fault).__name__)
        raise KeyUnavailable from fault


def _code(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))
