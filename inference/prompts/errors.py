"""What can be wrong with a wish about prompt templates."""

from kernel.errors import Conflict, NotFound


class PromptUnknown(NotFound):
    """There is no such template or version, or it is another project's."""

    code = "prompt_not_found"


class NameTaken(Conflict):
    """The project has a template of this name."""

    code = "prompt_name_taken"


class PromptInUse(Conflict):
    """A deployment pins one of the versions."""

    code = "prompt_in_use"
