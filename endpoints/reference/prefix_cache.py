"""A prefix cache as engines have it: prompts in blocks, each known by itself and all that comes before it."""

from collections import OrderedDict

from endpoints.reference.request import Generation

BLOCK_CHARS = 64
_CHARS_PER_TOKEN = 4


class PrefixCache:
    """Remembers up to `blocks` blocks of `BLOCK_CHARS` characters, the last used ones. Counts tokens asked and found."""

    def __init__(self, blocks: int = 1_000_000) -> None:
        self.queried_tokens = self.hit_tokens = 0
        self._capacity = blocks
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def cached_tokens(self, generation: Generation) -> int:
        """Return how much of the prompt is known, at most all but one token, and know all of it from now on."""
        keys = _chain(generation.conversation)
        known = 0
        while known < len(keys) and keys[known] in self._blocks:
            known += 1
        self._remember(keys)
        prompt_tokens = generation.prompt_tokens
        hit = min(known * BLOCK_CHARS // _CHARS_PER_TOKEN, prompt_tokens - 1)
        self.queried_tokens += prompt_tokens
        self.hit_tokens += hit
        return hit

    def _remember(self, keys: list[int]) -> None:
        # The first block is touched last: of a chain, the end is forgotten first, since it is of no use alone.
        for key in reversed(keys):
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)


def _chain(text: str) -> list[int]:
    """Return a key for each whole block; equal keys mean that the texts are equal up to there."""
    keys: list[int] = []
    key = 0
    for end in range(BLOCK_CHARS, len(text) + 1, BLOCK_CHARS):
        key = hash((key, text[end - BLOCK_CHARS : end]))
        keys.append(key)
    return keys
