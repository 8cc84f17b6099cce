"""Tests of the benchmarks: what they print and write, their clients, and the anchors of BENCH_ANCHORS_PYTHON."""
