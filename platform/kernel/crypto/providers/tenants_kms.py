"""Keys in the AWS accounts of organizations."""

import re
from uuid import UUID

from kernel.crypto.providers.chosen import aws_client, new_aws_client
from kernel.crypto.providers.kms import AwsKms, named_faults

KEY = re.compile(r"arn:aws[a-z-]{0,10}:kms:([a-z]{2}[a-z0-9-]{3,30}):(\d{12}):key/[A-Za-z0-9-]{1,64}")
ROLE = re.compile(r"arn:aws[a-z-]{0,10}:iam::(\d{12}):role/[\w+=,.@/-]{1,512}")
SESSION = "loomworks"
# AWS knows none shorter; what is assumed is used once.
SESSION_SECONDS = 900


def is_of_one_account(arn: str, role: str) -> bool:
    """Whether both are ARNs as they should be, of the same account: nobody names somebody else's role."""
    key, assumed = KEY.fullmatch(arn), ROLE.fullmatch(role)
    return bool(key and assumed and key[2] == assumed[1])


def kms_of_tenant(arn: str, role: str, organization_id: UUID) -> AwsKms:
    """The provider of one key, in the role that its account lets us assume.

    The role is assumed anew each time: an account that takes it back is obeyed at once, not when the
    session ends. The external id keeps one organization from naming another's role.
    """
    found = KEY.fullmatch(arn)
    region = found[1] if found else ""
    with named_faults():
        session = aws_client("sts", region).assume_role(
            RoleArn=role,
            RoleSessionName=SESSION,
            ExternalId=str(organization_id),
            DurationSeconds=SESSION_SECONDS,
        )["Credentials"]
    return AwsKms(
        new_aws_client(
            "kms",
            region,
            {
                "aws_access_key_id": session["AccessKeyId"],
                "aws_secret_access_key": session["SecretAccessKey"],
                "aws_session_token": session["SessionToken"],
            },
        )
    )
