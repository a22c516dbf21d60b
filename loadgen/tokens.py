"""Texts of so many tokens as the server counts them: by characters as the probe found out, or by a tokenizer file.

A text is made of words of its key's own, after a `head` that it may share with others.
"""

from typing import Any, Protocol

from loadgen.prompts import make_prompt, prompt_chars
from loadgen.spec import PromptScale, Target
from schemas.errors import SpecError

_CHARS_PER_TOKEN_GUESS = 6.0
_MOST_CHARS_PER_TOKEN = 100
_CUT_TRIES = 8


class Ruler(Protocol):
    """Makes texts of a length in tokens. `overhead` is what the server adds to a prompt (its chat template)."""

    overhead: float

    def text(self, tokens: float, key: str, head: str = "") -> str:
        """`head`, then words of the key's own: `tokens` in all, and at least one token after the head."""
        ...

    def cut(self, text: str, tokens: float) -> str:
        """The beginning of `text` that is `tokens` long; all of it where it is shorter."""
        ...

    def count(self, text: str) -> float:
        """Tokens of `text` alone."""
        ...


def ruler_of(target: Target, scale: PromptScale) -> Ruler:
    """The ruler that `scale` was fitted for. Raises SpecError where it needs a tokenizer that is not to be had."""
    if scale.chars_per_token > 0:
        return ByCharacters(scale)
    if target.tokenizer is None:
        raise SpecError("prompt_scale.chars_per_token is 0, which means a tokenizer, but target.tokenizer is null")
    return ByTokenizer(Tokenizer(target.tokenizer), scale.overhead_tokens)


class ByCharacters:
    """Counts characters, so many a token as the probe found out."""

    def __init__(self, scale: PromptScale) -> None:
        self.overhead = scale.overhead_tokens
        self._scale = PromptScale(scale.chars_per_token)

    def text(self, tokens: float, key: str, head: str = "") -> str:
        """See Ruler."""
        chars = prompt_chars(tokens, self._scale)
        if not head:
            return make_prompt(chars, key)
        return f"{head} {make_prompt(max(prompt_chars(1, self._scale), chars - len(head) - 1), key)}"

    def cut(self, text: str, tokens: float) -> str:
        """See Ruler."""
        return text[: prompt_chars(tokens, self._scale)].rstrip()

    def count(self, text: str) -> float:
        """See Ruler."""
        return len(text) / self._scale.chars_per_token


class ByTokenizer:
    """Counts with the endpoint's own tokenizer."""

    def __init__(self, tokenizer: "Tokenizer", overhead: float) -> None:
        self.overhead = overhead
        self._tokenizer = tokenizer

    def text(self, tokens: float, key: str, head: str = "") -> str:
        """See Ruler."""
        wanted = max(1, round(tokens))
        head = f"{head} " if head else ""
        if head:
            wanted = max(wanted, self._tokenizer.count(head) + 1)
        chars = round(wanted * _CHARS_PER_TOKEN_GUESS) + 1
        while True:
            text = head + make_prompt(chars, key)
            if (cut := self._tokenizer.cut(text, wanted)) is not None:
                return cut
            if chars > _MOST_CHARS_PER_TOKEN * wanted:
                raise SpecError(f"the endpoint's tokenizer counts fewer than {wanted} tokens in {chars} characters")
            chars *= 2

    def cut(self, text: str, tokens: float) -> str:
        """See Ruler."""
        return self._tokenizer.cut(text, max(1, round(tokens))) or text

    def count(self, text: str) -> float:
        """See Ruler."""
        return self._tokenizer.count(text)


class Tokenizer:
    """A tokenizer.json, read by the `tokenizers` package. Raises SpecError where either is missing or broken."""

    def __init__(self, path: str) -> None:
        try:
            import tokenizers  # an optional extra
        except ImportError:
            raise SpecError(
                "an endpoint with a tokenizer needs the tokenizers package: pip install tokenizers, "
                "or leave tokenizer out: prompts are then held to their length by the probe"
            ) from None
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(path)
        except Exception as error:  # the package raises bare Exceptions
            raise SpecError(f"{path}: not a tokenizer.json that can be read: {error}") from None
        self._tokenizer.no_truncation()  # the file may say so

    def count(self, text: str) -> int:
        """Tokens of `text`, without the special ones that a server adds."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def cut(self, text: str, tokens: int) -> str | None:
        """The beginning of `text` that counts `tokens`, or as near as a cut comes; null where it has too few."""
        ends = [end for _, end in self._tokenizer.encode(text, add_special_tokens=False).offsets]
        if len(ends) < tokens:
            return None
        at = tokens - 1
        best, least_off = text, len(ends)
        for _ in range(_CUT_TRIES):  # a word that is cut may count otherwise than it did in full
            cut = text[: ends[at]]
            off = tokens - self.count(cut)
            if abs(off) < least_off:
                best, least_off = cut, abs(off)
            if off == 0 or not 0 <= at + off < len(ends):
                break
            at += off
        return best
