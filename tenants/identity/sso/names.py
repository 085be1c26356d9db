"""Domain names as they are compared: in lower case, in the letters of the domain name system."""

import re

from kernel.errors import InvalidRequest

MAX_CHARACTERS = 253
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def domain_name(text: str) -> str:
    """The name in its one form. Raises `InvalidRequest` for what is no name under a top-level domain."""
    try:
        name = text.strip().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    labels = name.split(".")
    whole = len(name) <= MAX_CHARACTERS and len(labels) > 1 and not labels[-1].isdecimal()
    if not whole or not all(LABEL.fullmatch(label) for label in labels):
        raise InvalidRequest("'name' must be a domain like 'example.com', without '@'.", param="name")
    return name


def domain_of(email: str) -> str | None:
    """The domain of an e-mail address in its one form; None for what is no address."""
    local, at, domain = email.rpartition("@")
    if not at or not local or any(character.isspace() or character in '\0"@<>,' for character in local):
        return None
    try:
        return domain_name(domain)
    except InvalidRequest:
        return None
