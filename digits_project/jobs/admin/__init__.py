"""The admin's pages of jobs and devices; Django finds them by importing this package."""

from digits_project.jobs.admin import device_admin

__all__ = ["device_admin"]
