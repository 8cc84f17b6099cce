"""Trainings on devices of several hosts: the first host runs the training, the others help it with their ranks."""
