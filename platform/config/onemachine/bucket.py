"""Make the application's buckets as the store's administrator (`python -m config.onemachine.bucket`)."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ALREADY_THERE = {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}


def main() -> None:
    """Make the buckets that the environment names, one with Object Lock; what is there already is fine."""
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT_URL"],
        aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        region_name=os.environ["S3_REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}),
    )
    for name, is_locked in ((os.environ["S3_BUCKET"], False), (os.environ["S3_LOCKED_BUCKET"], True)):
        try:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=is_locked)
        except ClientError as fault:
            if fault.response["Error"]["Code"] not in ALREADY_THERE:
                sys.exit(f"The bucket '{name}' could not be made: {fault}")


if __name__ == "__main__":
    main()
