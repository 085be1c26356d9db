"""What can be wrong with a batch. As in OpenAI's API, what the body names wrongly is a 400."""

from kernel.errors import DomainError, InvalidRequest, NotFound


class BatchUnknown(NotFound):
    """There is no such batch in this project."""

    code = "batch_not_found"


class EndpointUnsupported(InvalidRequest):
    """Requests to this address cannot be made in a batch."""

    code = "unsupported_endpoint"


class FileUnknown(InvalidRequest):
    """The file does not exist here: unknown, deleted or another project's are not told apart."""

    code = "file_not_found"


class FileUnusable(InvalidRequest):
    """The file is there, for another purpose."""

    code = "invalid_file"


class NotCancellable(InvalidRequest):
    """The batch has ended, or its answers are all there."""

    code = "batch_not_cancellable"


class TooManyBatches(DomainError):
    """The organization has as many batches under way as it may have."""

    code, status = "too_many_batches", 429


class LeaseLost(Exception):
    """The batch is not ours any more: another worker took it up, or it has ended. Nothing was written."""
