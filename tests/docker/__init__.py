"""`python -m tests.docker` (`make docker-check`): the images and compose files, tried with a real Docker daemon."""
