"""Changes told from noise: planted steps found and false alarms, simulated over many years and once through landing.

The simulation feeds the judgement alone (`transforms.changes`). The year lands every night as a night lands, builds, and asks
the warehouse; of its endpoints each has its own noise and the same planted changes.
"""

import tempfile
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np

from benchmarks.tables import Section
from tests.history import History, Planted, land
from transforms.changes import Known, follow
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home

NOISE, BASELINE, YEAR = 0.02, 120, 365
PLANTED = {"cost 5 % up": log(1.05), "2.5 sigmas up": 0.05, "rate 5 % down": -log(0.95)}


@dataclass(frozen=True)
class Simulated:
    """One kind of step: shares found by the third night (its first counted) and three nights after the first."""

    planted: str
    series: int
    found_by_third: float
    found_within_3_after: float
    date_within_a_night: float


@dataclass(frozen=True)
class Quiet:
    """Series of mere noise."""

    series_years: int
    worse_a_year: float
    better_a_year: float


@dataclass(frozen=True)
class Year:
    """A year of nights through landing: planted steps, those found within three nights, and what else was found."""

    nights: int
    endpoints: int
    steps: int
    found: int
    false_alarms_a_series_year: float


def run(quick: bool) -> list[Section]:
    """Steps, quiet years, and a year landed; `quick`: fewer, and 60 nights."""
    rng = np.random.default_rng(1)
    steps = [_steps(name, size, 100 if quick else 400, rng) for name, size in PLANTED.items()]
    return [
        Section("trend_steps", "steps in 2 % noise after 120 nights", steps),
        Section("trend_alarms", "false alarms of mere noise, a series-year", [_quiet(20 if quick else 150, rng)]),
        Section("trend_year", "a history through landing", [_year(60 if quick else YEAR)]),
    ]


def _steps(name: str, size: float, series: int, rng: np.random.Generator) -> Simulated:
    delays: list[int] = []
    off: list[int] = []
    while len(delays) < series:
        values = rng.normal(0, NOISE, BASELINE + 8)
        values[BASELINE:] += size
        before = follow(values[:BASELINE], np.zeros(BASELINE))
        if before[-1].is_open:
            continue
        known = Known(BASELINE, before[-1], frozenset(seen.since for seen in before))
        after = follow(values, np.zeros(len(values)), known)
        found = [n for n, s in enumerate(after) if s.episode and s.episode.worse and s.episode.found == BASELINE + n]
        delays.append(found[0] if found else len(after))
        if found and after[-1].episode:
            off.append(abs(after[-1].episode.step - BASELINE))
    return Simulated(
        name, series, float(np.mean([d <= 2 for d in delays])), float(np.mean([d <= 3 for d in delays])),
        float(np.mean([o <= 1 for o in off])),
    )  # fmt: skip


def _quiet(years: int, rng: np.random.Generator) -> Quiet:
    worse = better = 0
    for _ in range(years):
        seen = follow(rng.normal(0, NOISE, BASELINE + YEAR), np.zeros(BASELINE + YEAR))
        new = [s.episode for n, s in enumerate(seen) if n >= BASELINE and s.episode and s.episode.found == n]
        worse += sum(episode.worse for episode in new)
        better += sum(not episode.worse for episode in new)
    return Quiet(years, worse / years, better / years)


def _year(nights: int, endpoints: int = 1) -> Year:
    """A step of 5 % every 60 nights after the first 50, a price and a demand change, gaps and failed nights."""
    steps = list(range(50, nights - 8, 60))
    planted = Planted(
        steps=dict.fromkeys(steps, 1.05), gaps=frozenset({20, 21, nights // 2}), failed=frozenset({30}),
        rent={nights // 3: 2.4}, peak_rps={nights // 2 + 5: 120.0},
    )  # fmt: skip
    history = History(nights=nights, endpoints=endpoints, planted=planted)
    with tempfile.TemporaryDirectory(prefix="ratecard-bench-") as folder:
        home = Home(Path(folder))
        land(home, history)
        build(home)
        query = """select endpoint, date_diff('day', $1::timestamp, first_night) as night from change_points
            where measure = 'gpu_seconds' and night = first_night and direction = 'worse'"""
        found = ask(home, query, [history.at(0)]).rows
    right = {(endpoint, step) for endpoint, night in found for step in steps if step <= night <= step + 3}
    wrong = [night for _, night in found if not any(step <= night <= step + 13 for step in steps)]
    return Year(nights, endpoints, len(steps) * endpoints, len(right), len(wrong) / (endpoints * nights / YEAR))
