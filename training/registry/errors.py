"""What can be wrong with the registry's contents."""


class BaseModelBroken(Exception):
    """The folder of a base model cannot be used; the message says which and why."""
