"""Make the application's bucket as the store's administrator (`python -m config.onemachine.bucket`)."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ALREADY_THERE = {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}


def main() -> None:
    """Make the bucket that the environment names; one that is there already is fine."""
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT_URL"],
        aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        region_name=os.environ["S3_REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}),
    )
    try:
        client.create_bucket(Bucket=os.environ["S3_BUCKET"])
    except ClientError as fault:
        if fault.response["Error"]["Code"] not in ALREADY_THERE:
            sys.exit(f"The bucket could not be made: {fault}")


if __name__ == "__main__":
    main()
