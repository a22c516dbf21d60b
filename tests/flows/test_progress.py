"""All shards of a level are shown as one."""

import io
from typing import Any

import pytest
from rich.console import Console

from flows.progress import Progress


def event(done: int, planned: int | None, failed: int = 0) -> dict[str, Any]:
    counts = {"done": done, "failed": failed, "in_flight": 2, "output_tokens": 10 * done}
    return {"event": "progress", "planned": planned} | counts


@pytest.mark.parametrize(("planned", "said"), [(50, "of 100 done"), (None, "done")])
def test_the_shards_of_a_level_are_added_up(planned: int | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.progress.LINE_EVERY_S", 0.0)
    console = Console(file=io.StringIO(), width=160)
    with Progress(console).level("e w c=4") as tell:
        tell(0, event(7, planned))
        tell(1, event(5, planned, failed=1))
        tell(1, event(6, planned, failed=1))
        tell(0, {"event": "done"})
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "e w c=4" in text
    # 7 + 6 done, 1 failed, 2 + 2 in flight, 70 + 60 tokens
    assert f"13 {said}, 1 failed, 4 in flight, 130 tokens" in text
