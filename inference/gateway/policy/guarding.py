"""Guardrails over text: what is found is told, made unreadable, or stops everything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from inference.gateway.policy import pii
from inference.gateway.policy.document import Action, Policy
from inference.gateway.policy.notes import GuardNotes
from inference.gateway.policy.pii import Span

Side = Literal["prompt", "answer"]
_WORD_MARK = "REDACTED"
# So much of what was shown is kept, since what stands before a place decides what begins there.
_CONTEXT_CHARACTERS = 8


@dataclass(frozen=True)
class _Scanner:
    """One guardrail: what it finds from a place on, and from where on the end is undecided."""

    name: str
    action: Action
    found: Callable[[str, int], list[Span]]
    open_from: Callable[[str, int], int]


class Part(NamedTuple):
    """A part of a text that may not be shown as it is."""

    start: int
    end: int
    mark: str
    blocks: bool


def _scanners(policy: Policy, side: Side) -> list[_Scanner]:
    found: list[_Scanner] = []
    action: Action = getattr(policy.pii, side)
    if action != "off":
        find = partial(_personal, policy.pii_kinds)
        found.append(_Scanner(f"pii.{side}", action, find, pii.open_from))
    action = getattr(policy.words, side)
    if action != "off" and policy.word_list is not None:
        words = policy.word_list
        found.append(_Scanner(f"words.{side}", action, words.found, words.open_from))
    return found


def _personal(kinds: frozenset[str], text: str, start: int) -> list[Span]:
    return pii.found(text, kinds, start)


def _parts(spans: Sequence[tuple[_Scanner, Span]]) -> list[Part]:
    """What must not be shown, in order; parts that overlap become one."""
    wanted = [(span, scanner) for scanner, span in spans if scanner.action != "flag"]
    parts: list[Part] = []
    for span, scanner in sorted(wanted, key=lambda one: (one[0].start, -one[0].end)):
        mark = _WORD_MARK if span.kind == "word" else span.kind.upper()
        part = Part(span.start, span.end, f"[{mark}]", scanner.action == "block")
        if parts and part.start < parts[-1].end:
            before = parts.pop()
            part = Part(before.start, max(before.end, part.end), before.mark, before.blocks or part.blocks)
        parts.append(part)
    return parts


class TextGuard:
    """Lets text pass in pieces. Holds back what may yet become what it looks for."""

    def __init__(self, policy: Policy, side: Side, notes: GuardNotes) -> None:
        self._scanners, self._notes = _scanners(policy, side), notes
        self._text, self._shown = "", 0
        self.blocked = False

    def feed(self, text: str) -> str:
        """What of the text so far can be shown now. Sets `blocked` when nothing more may be."""
        if self.blocked or not text:
            return ""
        with self._notes.timed():
            self._text += text
            return self._release(min(one.open_from(self._text, self._shown) for one in self._scanners))

    def rest(self) -> str:
        """What was held back, now that nothing follows."""
        if self.blocked:
            return ""
        with self._notes.timed():
            return self._release(len(self._text))

    def _release(self, until: int) -> str:
        spans = [(one, span) for one in self._scanners for span in one.found(self._text, self._shown)]
        while crossing := [span for _, span in spans if span.start < until < span.end]:
            until = min(span.start for span in crossing)
        settled = [(scanner, span) for scanner, span in spans if span.end <= until]
        for scanner, _ in settled:
            self._notes.found(scanner.name)
        return self._told(_parts(settled), until)

    def _told(self, parts: list[Part], until: int) -> str:
        told = ""
        for part in parts:
            told += self._text[self._shown : part.start]
            if part.blocks:
                self.blocked = self._notes.blocked = True
                self._text = ""
                return told
            told += part.mark
            self._shown = part.end
        told += self._text[self._shown : until]
        forgotten = max(0, until - _CONTEXT_CHARACTERS)
        self._text, self._shown = self._text[forgotten:], until - forgotten
        return told


def answer_guard(policy: Policy, notes: GuardNotes | None) -> TextGuard | None:
    """For one answer; None where nothing is looked for in answers."""
    return TextGuard(policy, "answer", notes) if policy.guards_answers and notes is not None else None
