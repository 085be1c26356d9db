"""Personal data in text: e-mail addresses, phone numbers, IBANs, payment cards and IP addresses."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from heapq import merge
from typing import Literal, NamedTuple

Kind = Literal["email", "phone", "iban", "card", "ip"]
KINDS: tuple[Kind, ...] = ("email", "phone", "iban", "card", "ip")


EndOf = Callable[[re.Match[str]], int | None]


class Span(NamedTuple):
    """Where something stands, in characters, and what it is."""

    start: int
    end: int
    kind: str


_EMAIL = re.compile(r"[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}(?!\w)")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IP4 = re.compile(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?!\w|\.\d)")
_IP6 = re.compile(r"(?<![\w:])[0-9A-Fa-f:]{2,39}(?![\w:])")
_DIGITS = re.compile(r"\d(?:[ -]?\d){11,}")
_GROUP = re.compile(r"\d+")
_IBAN = re.compile(
    r"(?<!\w)(?:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}|[A-Za-z]{2}\d{2}[A-Za-z0-9]{11,30})(?![a-z0-9])"
)
_PHONE = re.compile(
    r"(?<![\w.])(?:"
    r"(?:\+\d|00[1-9]|0[1-9]|\(\+?\d{1,5}\))(?:[ ./()-]{0,3}\d){6,14}"
    r"|(?:\([2-9]\d{2}\)|[2-9]\d{2})[ .-]{1,2}\d{3}[ .-]\d{4}"
    r")(?![\w])"
)
# Lengths by country, from the IBAN registry (ISO 13616).
_IBAN_COUNTRIES = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 "
    "QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
_IBAN_LENGTHS = {one[:2]: int(one[2:]) for one in _IBAN_COUNTRIES.split()}
_NO_DIGIT = re.compile(r"\D")
# By the first digit, since issuers' numbers have their lengths (ISO/IEC 7812).
_CARD_LENGTHS = {"2": (16,), "3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19)}
_MAX_CARD_DIGITS = 19
_NATIONAL_DIGITS = range(9, 13)
_INTERNATIONAL_DIGITS = range(7, 18)


def passes_luhn(digits: str) -> bool:
    """The check of payment card numbers (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def passes_mod97(iban: str) -> bool:
    """The check of IBANs (ISO 13616), given compact and in upper case."""
    return int("".join(str(int(one, 36)) for one in iban[4:] + iban[:4])) % 97 == 1


def found(text: str, kinds: frozenset[str], start: int = 0) -> list[Span]:
    """Where personal data of these kinds stands from `start` on, in order and without overlaps.

    Of those that overlap, the first and longest. All are looked for anew behind it: what began within it may
    hide what begins after it.
    """
    spans: list[Span] = []
    nexts = {kind: next(_FINDERS[kind](text, start), None) for kind in kinds}
    while ahead := [span for span in nexts.values() if span is not None]:
        first = min(ahead, key=lambda one: (one.start, -one.end))
        spans.append(first)
        for kind, span in nexts.items():
            if span is not None and span.start < first.end:
                nexts[kind] = next(_FINDERS[kind](text, first.end), None)
    return spans


def _spans(pattern: re.Pattern[str], text: str, start: int, kind: str, end_of: EndOf) -> Iterator[Span]:
    """What the pattern matches and `end_of` accepts. What it does not accept may hide what it does."""
    while (match := pattern.search(text, start)) is not None:
        end = end_of(match)
        if end is None:
            start = match.start() + 1
        else:
            yield Span(match.start(), end, kind)
            start = end


def _emails(text: str, start: int) -> Iterator[Span]:
    return _spans(_EMAIL, text, start, "email", re.Match.end)


def _addresses(text: str, start: int) -> Iterator[Span]:
    four = _spans(_IP4, text, start, "ip", re.Match.end)
    six = _spans(_IP6, text, start, "ip", _end_of_ip6)
    return merge(four, six, key=lambda one: one.start)


def _end_of_ip6(match: re.Match[str]) -> int | None:
    """A sentence's own colon after an address is none of it; times of day and `::` alone are no address."""
    written = match[0][:-1] if match[0].endswith(":") and not match[0].endswith("::") else match[0]
    try:
        ipaddress.IPv6Address(written)
    except ValueError:
        return None
    return match.start() + len(written) if any(one.isdigit() for one in written) else None


def _cards(text: str, start: int) -> Iterator[Span]:
    """Whole groups of digits that together are a card's number, also among further ones (a date, a code)."""
    for run in _DIGITS.finditer(text, start):
        groups = list(_GROUP.finditer(text, run.start(), run.end()))
        first = 0
        while first < len(groups):
            after = _card_from(groups, first)
            if after:
                yield Span(groups[first].start(), groups[after - 1].end(), "card")
            first = after or first + 1


def _card_from(groups: list[re.Match[str]], first: int) -> int:
    """The number of the group after the longest card that begins with the group `first`; 0 for none."""
    digits, found_until = "", 0
    for place in range(first, len(groups)):
        digits += groups[place][0]
        if len(digits) > _MAX_CARD_DIGITS:
            break
        if len(digits) in _CARD_LENGTHS.get(digits[0], ()) and passes_luhn(digits):
            found_until = place + 1
    return found_until


def _ibans(text: str, start: int) -> Iterator[Span]:
    return _spans(_IBAN, text, start, "iban", _end_of_iban)


def _end_of_iban(match: re.Match[str]) -> int | None:
    """What follows in capitals may have been taken along: the country tells where the number ends."""
    length = _IBAN_LENGTHS.get(match[0][:2].upper())
    places = [place for place, one in enumerate(match[0]) if one.isalnum()]
    if length is None or len(places) < length:
        return None
    end = places[length - 1] + 1
    whole = "".join(match[0][place] for place in places[:length]).upper()
    if match[0][end : end + 1].isalnum() or not whole.isascii() or not passes_mod97(whole):
        return None
    return match.start() + end


def _phones(text: str, start: int) -> Iterator[Span]:
    return _spans(_PHONE, text, start, "phone", _end_of_phone)


def _end_of_phone(match: re.Match[str]) -> int | None:
    digits = _NO_DIGIT.sub("", match[0])
    national = match[0][0] == "0" and match[0][1] != "0"
    return match.end() if len(digits) in (_NATIONAL_DIGITS if national else _INTERNATIONAL_DIGITS) else None


_FINDERS = {"email": _emails, "phone": _phones, "iban": _ibans, "card": _cards, "ip": _addresses}

# Longer than any of the above that is written with blanks, and than any that is not.
_LONGEST_SPACED = 64
LONGEST = 384
_SPACED_START = re.compile(r"(?:[A-Z]{1,2}\d|[A-Z]{1,2}$|[+(]|\d)[A-Z\d ./()+-]*\Z")
_BLANK = re.compile(r"\s")


def open_from(text: str, start: int) -> int:
    """From where on the text's end may yet become personal data; its length where nothing may."""
    first = max(start, len(text) - LONGEST)
    blanks = [match.end() for match in _BLANK.finditer(text, first)]
    run = blanks[-1] if blanks else first
    spaced = _SPACED_START.search(text, max(start, len(text) - _LONGEST_SPACED))
    if spaced is None or spaced.start() >= run:
        return run
    # With the rest of the word in which it begins: what stands before decides whether it counts.
    return max((place for place in blanks if place <= spaced.start()), default=first)
