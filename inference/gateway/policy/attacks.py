"""Signs that a prompt tries to talk a model out of its instructions. Heuristics: they miss, and they err."""

import re
import unicodedata

_OF_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|messages?|polic(?:y|ies)|restrictions?)"
)
_EARLIER = r"(?:all|any|every|the|your|my|these|those|previous|prior|earlier|above|preceding|foregoing|of)"
_SIGNS = tuple(
    re.compile(pattern)
    for pattern in (
        # Setting the instructions aside.
        rf"\b(?:ignore|disregard|forget|override|bypass|discard)\b(?: {_EARLIER}){{1,5}} (?:\w+ )?"
        rf"{_OF_RULES}\b",
        r"\b(?:ignore|disregard|forget) (?:everything|all|anything) (?:that |which )?(?:was |you were |i )?"
        r"(?:above|before|told|said|previously)\b",
        rf"\bdo not (?:follow|obey) (?:{_EARLIER} ){{1,4}}{_OF_RULES}\b",
        r"\bignorier\w*\b.{0,40}\b(?:anweisungen|regeln|vorgaben|instruktionen)\b",
        # Having them told.
        r"\b(?:reveal|show|print|repeat|output|leak|display|tell me|give me)\b.{0,40}"
        r"\b(?:your|the|its) (?:\w+ )?(?:system prompt|system message|hidden prompt|initial instructions"
        r"|original instructions|initial prompt)\b",
        r"\brepeat (?:everything|all(?: the)? (?:text|words)) (?:above|before)\b",
        # Posing as another model, or as one without rules.
        r"\byou are (?:now |going to (?:be|act as) )?(?:dan\b|do anything now|an? (?:\w+ )?(?:unrestricted"
        r"|unfiltered|uncensored|jailbroken))",
        r"\b(?:act|pretend|respond|answer|behave)\b.{0,40}\b(?:without|with no|free (?:of|from)) "
        r"(?:any |all )?(?:\w+ )?"
        r"(?:restrictions?|filters?|limits?|limitations?|censorship|guidelines|rules)\b",
        r"\b(?:do anything now|developer mode enabled|jailbreak mode|god mode enabled)\b",
        r"\b(?:enable|enter|activate|switch to) (?:\w+ )?(?:developer|jailbreak|dan|god|sudo) mode\b",
        # Posing as the system.
        r"(?:^|\n) ?(?:#+ ?)?(?:system|new instructions?|system override) ?: ?\S",
        r"<[|/]?(?:im_start|system|sys)[|]?>|\[/?(?:inst|system)\]|<<sys>>",
    )
)
# Characters that are not seen and split words.
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_BLANKS = re.compile(r"[^\S\n]+")


def signs_in(text: str) -> int:
    """How many of the signs the text has."""
    plain = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold().replace("don't", "do not")
    lines = _BLANKS.sub(" ", plain)
    # Some signs stand at the beginning of a line, others across lines.
    flat = lines.replace("\n", " ")
    return sum(bool(sign.search(lines) or sign.search(flat)) for sign in _SIGNS)
