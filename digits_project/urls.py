"""Every route of the server; each app keeps its own."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from digits_project import health, views
from digits_project.accounts import oidc
from digits_project.api import PrettyJSONRenderer, with_suffix
from digits_project.jobs.views import Index
from digits_project.metrics import Metrics

admin.site.site_header = admin.site.site_title = "DIGITS"
handler400 = "digits_project.refusals.bad_request"
handler404 = "digits_project.refusals.not_found"
handler500 = "digits_project.refusals.server_fault"

urlpatterns = [
    path("", Index.as_view(), name="home"),
    *with_suffix("login", views.Login, "login"),
    path("oidc/login", oidc.Begin.as_view(), name="oidc-login"),
    path("oidc/callback", oidc.Callback.as_view(), name="oidc-callback"),
    *with_suffix("logout", views.Logout, "logout"),
    *with_suffix("account", views.Account, "account"),
    *with_suffix("autocomplete/path", views.PathSuggestions, "autocomplete-path"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("admin/login/", views.AdminLogin.as_view()),  # instead of the admin's own page
    path("admin/", admin.site.urls),
    # The admin's own style sheets and scripts, from the installed packages; `insecure` means "although DEBUG is off".
    re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True}),
    path("api/schema", SpectacularAPIView.as_view(renderer_classes=[PrettyJSONRenderer]), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(metadata_class=None), name="docs"),  # no OPTIONS
    path("", include("inference.urls")),
    path("", include("models_app.urls")),
    path("", include("datasets.urls")),
    path("", include("digits_project.jobs.urls")),
]
