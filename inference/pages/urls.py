from django.urls import path

from inference.pages.disagreement_page import DisagreementPage
from inference.pages.matrix_cell import MatrixCell

urlpatterns = [
    path("models/<str:job_id>/evaluation/cell", MatrixCell.as_view(), name="evaluation-cell"),
    path("models/compare/disagreements", DisagreementPage.as_view(), name="disagreements"),
]
