"""What can go wrong with the object store."""

from kernel.errors import NotFound, Unavailable


class StorageUnavailable(Unavailable):
    """The object store does not answer, or refuses."""

    code = "storage_unavailable"
    message = "The object store does not answer at the moment; try again in a few seconds."


class LockUnsupported(StorageUnavailable):
    """There is no bucket with Object Lock."""

    code = "object_lock_unsupported"
    message = (
        "Objects cannot be locked here: the operator must make a bucket with Object Lock and name it in "
        "S3_LOCKED_BUCKET."
    )


class ObjectMissing(NotFound):
    """There is no such object for this organization."""

    code = "object_missing"
    message = "The stored content does not exist."


class ForeignObjectKey(ObjectMissing):
    """The key lies outside the organization's prefix or is malformed: to the caller it does not exist."""
