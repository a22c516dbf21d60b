"""How many generations run at once, who waits for a place, and what has been done: the state of a pretended engine."""

from collections import Counter, OrderedDict

from endpoints.reference.play import Play


class Capacity:
    """At most `slots` plays run at once (null: any number); others wait, first come first served."""

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots
        self.running: set[Play] = set()
        self.waiting: OrderedDict[Play, None] = OrderedDict()  # in the order of arrival
        self.prompt_tokens = 0
        self.finished: Counter[str] = Counter()  # by finish reason
        self._generated_tokens = 0

    @property
    def generated_tokens(self) -> int:
        """Tokens sent so far, those of running plays included."""
        return self._generated_tokens + sum(play.tokens_sent for play in self.running)

    def enter(self, play: Play) -> bool:
        """Take a slot for `play`, or a place in the queue; True if it may begin."""
        if self.slots is not None and len(self.running) >= self.slots:
            self.waiting[play] = None
            return False
        self._run(play)
        return True

    def leave(self, play: Play) -> Play | None:
        """Give back the slot or the place of a play that is over; return the play that may begin in its stead."""
        if play in self.waiting:
            del self.waiting[play]
            return None
        self.running.remove(play)
        self._generated_tokens += play.tokens_sent
        self.finished[play.finish_reason] += 1
        if not self.waiting:
            return None
        following, _ = self.waiting.popitem(last=False)
        self._run(following)
        return following

    def _run(self, play: Play) -> None:
        self.running.add(play)
        self.prompt_tokens += play.prompt_tokens
