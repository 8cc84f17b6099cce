"""Random faults against a whole server that works all the time: `python -m tests.chaos --faults 200 --seed 1`."""
