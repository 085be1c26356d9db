"""What can be wrong with exports, erasures and policies."""

from kernel.errors import Conflict, InvalidRequest, NotFound


class ExportUnknown(NotFound):
    """There is no such export, or it is somebody else's."""

    code = "export_not_found"
    message = "There is no such export."


class ExportNotReady(Conflict):
    """The export has no file: it is not finished, or the file was removed again."""

    code = "export_not_ready"


class ExportUnderWay(Conflict):
    """One at a time: the same was asked for already."""

    code = "export_under_way"
    message = "An export of the same is under way; wait for it or cancel it."


class ErasureUnknown(NotFound):
    """There is no such request."""

    code = "erasure_not_found"
    message = "There is no such request for erasure."


class WrongErasureState(Conflict):
    """The request is not at the point at which this is done."""

    code = "erasure_state"


class SecondPersonRequired(Conflict):
    """The organization's policy wants another person's approval than that of who asked."""

    code = "second_person_required"
    message = "Somebody else than who asked for the erasure must approve it: so this organization decided."


class NothingNamed(InvalidRequest):
    """The request names nobody and nothing."""

    code = "nothing_named"
    message = "Name a member ('user_id'), 'words' to look for, or 'rows' of files."


class KindUnknown(InvalidRequest):
    """Nothing of this kind is kept for a number of days."""

    code = "unknown_kind"


class RetentionOutOfBounds(InvalidRequest):
    """The platform sets bounds to how long a kind is kept."""

    code = "retention_out_of_bounds"
