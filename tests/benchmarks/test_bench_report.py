"""The rows of `make bench`, its results.json and its exit status."""

import json
import os
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from benchmarks import __main__ as bench
from benchmarks import building
from benchmarks.report import NO_ANCHORS, LeftOut, against, at_most, line, sooner, table, write_part
from tests.support.server import ROOT


def run_bench(*arguments, **variables):
    env = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")} | variables
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, env=env, capture_output=True, text=True
    )


def test_a_speed_counts_by_the_median_of_its_ratios():
    row = against("train", "images/s", "PyTorch", [(90, 100), (120, 100), (99, 100)], 0.99)
    assert (row.figure, row.anchor_figure, row.ratio, row.spread) == (99, 100, 0.99, (0.9, 1.2))
    assert row.met


def test_a_latency_meets_its_goal_when_it_is_smaller_than_the_anchors():
    shorter, longer = (sooner("p95", "ms", "LitServe", [(ours, 500)] * 3, 1.0) for ours in (400, 600))
    assert (shorter.figure, shorter.anchor_figure, shorter.ratio, shorter.met) == (400, 500, 1.25, True)
    assert not longer.met


def test_the_line_of_a_missed_goal_says_so():
    assert line(at_most("memory", "MiB", [410, 390, 420], 400)).endswith("MISSED")
    assert "MISSED" not in line(at_most("memory", "MiB", [410, 390, 395], 400))


def test_a_part_replaces_its_own_rows_in_the_results(tmp_path):
    path = tmp_path / "results.json"
    row, left_out = against("train", "images/s", "PyTorch", [(90, 100)], 1.0), LeftOut("build, against cv2", NO_ANCHORS)
    for part, rows in (("training", [left_out]), ("jobs", [row]), ("training", [row, left_out])):
        write_part(part, rows, 61.4, path)
    results = json.loads(path.read_text())
    assert list(results) == ["training", "jobs"]
    assert results["training"]["seconds"] == 61
    [written] = results["training"]["rows"]
    assert (written["goal"], written["anchor"], written["ratio"], written["met"]) == (1.0, "PyTorch", 0.9, False)
    assert written["load"] >= 0
    assert results["training"]["left_out"] == [{"name": "build, against cv2", "reason": NO_ANCHORS}]
    assert results["training"]["date"] == f"{datetime.now(timezone.utc):%Y-%m-%d}"


def test_the_documented_table_is_that_of_the_results():
    assert table(json.loads(bench.RESULTS.read_text())) in (ROOT / "docs/performance.md").read_text()


def test_a_missed_goal_makes_the_exit_status_1(capsys):
    missed, met = (at_most(name, "MiB", [410], goal) for name, goal in (("web", 400), ("build", 500)))
    assert bench._conclude([missed, met], [], 61) == 1
    assert capsys.readouterr().out == "1:01 min; 0 rows left out; 1 of 2 goals missed\n  web\n"
    assert bench._conclude([met], [], 61) == 0
    assert bench._conclude([met], ["serving"], 61) == 1


@pytest.mark.slow
def test_rows_whose_anchor_is_not_installed_are_left_out_with_the_reason():
    run = run_bench("--only", "jobs", BENCH_TORCH_PYTHON="")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("left out: make torch, or set BENCH_TORCH_PYTHON to a Python that has PyTorch") == 2
    assert "jobs took" in run.stdout


@pytest.mark.slow
def test_a_part_that_fails_is_reported_and_makes_the_exit_status_1():
    run = run_bench("--only", "training", "--rounds", "1", BENCH_TORCH_PYTHON="/nowhere/python")
    assert run.returncode == 1
    assert "part training failed" in run.stdout
    assert "/nowhere/python" in run.stderr


def test_each_side_of_a_build_begins_in_turn():
    begun = []
    sides = [lambda: begun.append("ours") or 2.0, lambda: begun.append("Pillow") or 4.0]
    assert building._alternate(sides, 2) == [(2.0, 4.0), (2.0, 4.0)]
    assert begun[2:] == ["ours", "Pillow", "Pillow", "ours"]  # after a round that only warms up
