from django.urls import path

from inference.pages.comparison_page import ComparisonPage
from inference.pages.disagreement_page import DisagreementPage
from inference.pages.matrix_cell import MatrixCell
from inference.pages.slice_page import SlicePage

urlpatterns = [
    path("models/<str:job_id>/evaluation/cell", MatrixCell.as_view(), name="evaluation-cell"),
    path("models/compare/disagreements", DisagreementPage.as_view(), name="disagreements"),
    path("models/compare/evaluations/<str:job_id>", ComparisonPage.as_view(), name="evaluation-comparison"),
    path("models/compare/evaluations/<str:job_id>/slices", SlicePage.as_view(), name="evaluation-slices"),
]
