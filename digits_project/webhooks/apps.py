from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "digits_project.webhooks"
    MAINTENANCE = "digits_project.webhooks.sending.send_due"  # the reaper calls it after each tick

    def ready(self):
        from digits_project.jobs.lifecycle import job_ended  # needs the app registry
        from digits_project.webhooks.services import record_end

        job_ended.connect(record_end)
