"""Stop sequences: OpenAI leaves them out of the answer, TGI leaves them in."""


class StopFilter:
    """Passes text on, except what is, or may become, a stop sequence."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """What of the text so far can be shown now. Sets `hit` when a stop sequence is complete."""
        if self.hit:
            return ""
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.hit = True
            return self._release(min(found))
        return self._release(len(self._held) - self._longest_start())

    def rest(self) -> str:
        """What was held back and turned out to be no stop sequence."""
        return "" if self.hit else self._release(len(self._held))

    def _release(self, length: int) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        return shown

    def _longest_start(self) -> int:
        """The length of the longest end of the held text with which some stop sequence begins."""
        return max(
            (
                size
                for stop in self._stops
                for size in range(1, len(stop))
                if self._held.endswith(stop[:size])
            ),
            default=0,
        )
