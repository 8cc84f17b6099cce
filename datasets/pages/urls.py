from django.urls import path

from datasets.contents import gallery
from datasets.pages.dataset_images import DatasetImage, DatasetImages, DatasetPicture, MeanPicture, strip
from datasets.pages.dataset_preview import DatasetPreview
from datasets.pages.demo_digits import DemoDigits, digits_file
from datasets.pages.folder_browser import FolderBrowser
from datasets.pages.revision_preview import RevisionPreview
from digits_project.api.routes import with_suffix

urlpatterns = [
    path("pages/datasets/preview", DatasetPreview.as_view(), name="dataset-preview"),
    # The home page offers the digits only if there is this route.
    *([path("pages/datasets/digits", DemoDigits.as_view(), name="demo-digits")] if digits_file() else []),
    path("pages/datasets/folders", FolderBrowser.as_view(), name="dataset-folders"),
    path("pages/datasets/<str:job_id>/revision", RevisionPreview.as_view(), name="revision-preview"),
    path("datasets/<str:job_id>/mean.png", MeanPicture.as_view(), name="dataset-mean"),
    path("datasets/<str:job_id>/strip.png", DatasetPicture.as_view(draw=strip), name="dataset-strip"),
    path(
        "datasets/<str:job_id>/images/<str:split>/<int:number>/picture",
        DatasetPicture.as_view(),
        name="dataset-picture",
    ),
    path(
        "datasets/<str:job_id>/images/<str:split>/<int:number>/thumbnail",
        DatasetPicture.as_view(draw=gallery.thumbnail),
        name="dataset-thumbnail",
    ),
    *with_suffix("datasets/<str:job_id>/images/<str:split>/<int:number>", DatasetImage, "dataset-image"),
    *with_suffix("datasets/<str:job_id>/images", DatasetImages, "dataset-images"),
]
