"""Configures OpenMP, whose threads compute for every engine on the CPU."""

import os


def spin_briefly() -> None:
    """Let an idle thread look for work only so often before it sleeps. Call it before an engine's library is loaded.

    With OpenMP's default of 300,000, trainings beside other work take up to twenty times as long (decision 86).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
