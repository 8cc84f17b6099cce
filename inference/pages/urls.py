from django.urls import path

from inference.pages.matrix_cell import MatrixCell

urlpatterns = [path("models/<str:job_id>/evaluation/cell", MatrixCell.as_view(), name="evaluation-cell")]
