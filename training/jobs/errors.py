"""What can be wrong with a fine-tuning job. As in OpenAI's API, what the body names wrongly is a 400."""

from kernel.errors import InvalidRequest, NotFound


class JobUnknown(NotFound):
    """There is no such job in this project."""

    code = "job_not_found"


class ModelUnknown(InvalidRequest):
    """The model cannot be fine-tuned or does not exist."""

    code = "model_not_found"


class FileUnknown(InvalidRequest):
    """The file does not exist here: unknown, deleted or another project's are not told apart."""

    code = "file_not_found"


class FileUnusable(InvalidRequest):
    """The file is there and cannot be trained on."""

    code = "invalid_file"


class TrainingNotAllowed(InvalidRequest):
    """What is recorded of the file's rows excludes that models learn from them."""

    code = "training_not_allowed"


class MethodUnsupported(InvalidRequest):
    """A method of fine-tuning that is not offered."""

    code = "unsupported_method"


class IntegrationUnsupported(InvalidRequest):
    """Jobs report to nobody outside."""

    code = "unsupported_integration"


class UnknownParameter(InvalidRequest):
    """The body holds something that is not understood: refused rather than ignored."""

    code = "unknown_parameter"


class NotCancellable(InvalidRequest):
    """The job has ended, or its model is made already."""

    code = "job_not_cancellable"


class LeaseLost(Exception):
    """The job is not ours any more: cancelled, or taken up by another runner. Nothing was written."""
