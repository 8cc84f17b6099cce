"""Running a job: workers, the runner, lost processes, the reaper."""
