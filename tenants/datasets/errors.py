"""What can be wrong with a file that somebody brings."""

from kernel.errors import DomainError, InvalidRequest


class FileMissing(InvalidRequest):
    """The request holds no file."""

    code = "missing_file"
    message = "Send the file in the form field 'file' (multipart/form-data)."


class FileEmpty(InvalidRequest):
    """The file has no bytes."""

    code = "empty_file"
    message = "The file is empty: it needs at least one row."


class FileTooLarge(DomainError):
    """The file has more bytes than are accepted."""

    code, status = "file_too_large", 413


class UnknownPurpose(InvalidRequest):
    """A purpose that files cannot have here."""

    code = "invalid_purpose"
    message = "'purpose' must be 'fine-tune' or 'batch'."


class BadFilename(InvalidRequest):
    """A name that cannot be kept."""

    code = "invalid_filename"
    message = "The file's name must have 1 to 255 characters, without control characters."
