"""Runs jobs: workers, the runner, the handling of lost processes, the reaper."""
