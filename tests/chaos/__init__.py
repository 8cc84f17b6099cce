"""Random faults against a whole server under load: `python -m tests.chaos --faults 200 --seed 1`."""
