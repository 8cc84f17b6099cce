"""Tests of trainings with several ranks."""
