from django.urls import path

from digits_project.api.routes import action_routes, action_view
from digits_project.jobs.pages.views import ChosenJobs, HomeViewSet, JobsFragment, NowFragment

urlpatterns = [
    path("", action_view(HomeViewSet, {"get": "list"}, name="Jobs"), name="home"),
    *action_routes("index", HomeViewSet, {"get": "list"}, "index", name="Jobs"),
    path("pages/now", NowFragment.as_view(), name="home-now"),
    path("pages/jobs", JobsFragment.as_view(), name="home-jobs"),
    path("pages/jobs/action", ChosenJobs.as_view(), name="job-actions"),
]
