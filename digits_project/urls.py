"""All routes of the server; each app defines its own."""

from collections.abc import Callable

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path, re_path
from django.utils.module_loading import import_string
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.routes import action_routes, action_view, with_suffix
from digits_project.monitoring import health
from digits_project.monitoring.metrics import Metrics
from digits_project.server.streaming.events_view import EventsView
from digits_project.web import about, account, login, path_suggestions, webhook_page

admin.site.site_header = admin.site.site_title = "DIGITS"
handler400 = "digits_project.api.exception_handler.bad_request"
handler404 = "digits_project.api.exception_handler.not_found"
handler500 = "digits_project.api.exception_handler.server_fault"

LOG_IN = {"get": "defaults", "post": "log_in"}


def oidc_view(name: str) -> Callable:
    """A view of accounts.oidc. That module and its libraries take 10 MiB, so they are loaded by the first login at an
    OpenID Connect provider; most servers have none."""
    return lambda request: import_string(f"digits_project.accounts.oidc.{name}").as_view()(request)


urlpatterns = [
    path("", include("inference.api.urls")),  # first, because they are requested most often
    path("", include("inference.pages.urls")),
    *action_routes("login", login.LoginViewSet, LOG_IN, "login", name="Log in"),
    path("oidc/login", oidc_view("OidcBegin"), name="oidc-login"),
    path("oidc/callback", oidc_view("OidcCallback"), name="oidc-callback"),
    *with_suffix("logout", login.Logout, "logout"),
    *with_suffix("account", account.AccountPage, "account"),
    path("account/password", account.ChangePassword.as_view(), name="change-password"),
    path("account/tokens", account.MakeToken.as_view(), name="make-token"),
    path("account/webhooks", webhook_page.WebhookPage.as_view(), name="webhooks"),
    path("account/webhooks/change", webhook_page.ChangeWebhook.as_view(), name="change-webhook"),
    path("account/tokens/withdraw", account.WithdrawToken.as_view(), name="withdraw-token"),
    path("about", about.AboutPage.as_view(), name="about"),
    *with_suffix("autocomplete/path", path_suggestions.PathSuggestions, "autocomplete-path"),
    *with_suffix("events", EventsView, "events"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("admin/login/", action_view(login.AdminLoginViewSet, LOG_IN, name="Log in")),  # not the admin's own page
    path("admin/", admin.site.urls),
    # The admin's own style sheets and scripts, from the installed packages; `insecure` means "although DEBUG is off".
    re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True}),
    path("api/schema", SpectacularAPIView.as_view(renderer_classes=[PrettyJSONRenderer]), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(metadata_class=None), name="docs"),  # no OPTIONS
    path("", include("digits_project.webhooks.api.urls")),
    path("", include("models_app.pages.urls")),
    path("", include("models_app.api.urls")),
    path("", include("datasets.pages.urls")),
    path("", include("datasets.api.urls")),
    path("", include("digits_project.jobs.api.urls")),
    path("", include("digits_project.jobs.pages.urls")),
]
