"""The retention policy: nothing without a rule, the first rule that fits, and every mistake with file, line and field."""

from pathlib import Path

import pytest

from schemas.catalog_files import load
from schemas.errors import CatalogError
from schemas.retention import Policy, Rule, load_policy
from tests.traces import STARTER


def test_the_starter_catalog_has_no_rule_and_a_catalog_needs_none(tmp_path: Path) -> None:
    assert load_policy(STARTER) == load_policy(tmp_path) == Policy()


def test_every_example_of_the_starter_file_is_a_rule(tmp_path: Path) -> None:
    text = (STARTER / "retention.yaml").read_text()
    examples = [line.removeprefix("# ").removeprefix("#") for line in text.split("#\n", 2)[2].splitlines()]
    (tmp_path / "retention.yaml").write_text("\n".join(examples))
    assert list(load_policy(tmp_path).rules) == ["canary", "telemetry", "everything-else"]


def test_the_policy_is_a_file_of_the_catalog_that_the_catalog_does_not_stumble_over(tmp_path: Path) -> None:
    for file in STARTER.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "retention.yaml").write_text("all:\n  drop_after_days: 9\n")
    assert load(tmp_path).suites
    (tmp_path / "retentions.yaml").write_text("")
    with pytest.raises(CatalogError, match=r"retentions\.yaml:1: no such section: expected one of .*retention"):
        load(tmp_path)


def test_the_first_rule_that_fits_decides() -> None:
    policy = Policy(
        rules={
            "health": Rule(tables=["client_health"], drop_after_days=9),
            "canary": Rule(suites=["canary"], endpoints=["a", "b"], drop_after_days=1),
            "rest": Rule(compact_after_days=0),
        }
    )

    def rule(suite: str, endpoint: str, table: str) -> str:
        found = policy.rule_for(suite, endpoint, table)
        assert found is not None
        return found[0]

    assert rule("canary", "a", "client_health") == "health"
    assert rule("canary", "b", "request_traces") == "canary"
    assert rule("canary", "c", "request_traces") == "rest"
    assert rule("nightly", "a", "server_metrics") == "rest"
    assert Policy(rules={"f": Rule(suites=["s"], drop_after_days=1)}).rule_for("t", "e", "request_traces") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: {}", "1: a: does nothing: expected compact_after_days, thin_after_days with"),
        ("a:\n  drop_after_days: 0", "2: a.drop_after_days: found 0, expected: greater than 0"),
        ("a:\n  drop_after_days: 1.5", "2: a.drop_after_days: found 1.5, expected: a valid integer"),
        ("a:\n  drop_after: 3", "2: a.drop_after: no such field (found 3)"),
        ("a:\n  drop_after_days: 9\n  tables: [traces]", "3: a.tables: found 'traces', expected any of request_traces"),
        ("a:\n  thin_after_days: 9", "1: a: thin_after_days and keep_share_of_requests go together"),
        (
            "a:\n  thin_after_days: 9\n  keep_share_of_requests: 1.0",
            "3: a.keep_share_of_requests: found 1.0, expected: less",
        ),
        (
            "a:\n  tables: [client_health]\n  thin_after_days: 9\n  keep_share_of_requests: 0.1",
            "1: a: only request_traces can be thinned",
        ),
        (
            "a:\n  compact_after_days: 9\n  drop_after_days: 9",
            "1: a: compact_after_days (9) must come before drop_after_days (9)",
        ),
        ("a:\n  drop_after_days: 3\n  drop_after_days: 4", "2: a.drop_after_days: is given twice (again on line 3)"),
        ("a b:\n  drop_after_days: 3", "1: a b: found 'a b', expected a name of at most 64"),
        ("a: [", "2: not YAML"),
        ("- a", "1: found ['a'], expected a mapping of names"),
        ("a:\n  drop_after_days: x\nb:\n  nope: 1", "4: b.nope: no such field"),
    ],
)
def test_a_mistake_is_answered_with_file_line_and_field(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "retention.yaml"
    path.write_text(text + "\n")
    with pytest.raises(CatalogError) as mistake:
        load_policy(tmp_path)
    assert f"{path}:{says}" in str(mistake.value)
