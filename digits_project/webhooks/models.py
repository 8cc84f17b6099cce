"""The rows of webhooks and of their deliveries."""

import uuid

from django.conf import settings
from django.db import models

from digits_project.jobs.models import Status

MAX_URL = 2000  # characters


class Happening(models.TextChoices):
    """What a webhook can report."""

    DONE = "job.done"
    ERROR = "job.error"
    ABORTED = "job.aborted"


HAPPENINGS = {Status.DONE: Happening.DONE, Status.ERROR: Happening.ERROR, Status.ABORTED: Happening.ABORTED}
TRIAL = "test"  # the event of a test delivery


class Webhook(models.Model):
    """An address of a user that gets a request when one of the user's jobs ends; on an open server, any job."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="webhooks", editable=False
    )
    url = models.CharField(max_length=MAX_URL)
    secret = models.CharField(max_length=100, editable=False)  # as the receiver has it: whsec_ and base64
    events = models.JSONField(default=list)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    failures = models.PositiveSmallIntegerField(default=0, editable=False)  # since the last success
    retry_at = models.DateTimeField(null=True, editable=False)  # after a failure nothing is sent before
    disabled_because = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"webhook {self.pk} of {self.user or 'this server'}"


class Delivery(models.Model):
    """A message for a webhook, and what became of it. It stays Pending until it has arrived or is given up."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    delivery_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20)
    job_id = models.CharField(max_length=20, blank=True)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    next_attempt_at = models.DateTimeField(null=True)  # null once it is no longer pending
    attempts = models.PositiveSmallIntegerField(default=0)
    attempted_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)  # that the last attempt took
    status_code = models.PositiveSmallIntegerField(null=True)  # of the last response
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["webhook", "-created_at"], name="delivery_list"),
            models.Index(fields=["next_attempt_at"], name="delivery_due", condition=models.Q(state="pending")),
        ]

    def __str__(self):
        return f"{self.event} {self.delivery_id}"
