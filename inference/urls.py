from digits_project.api import with_suffix
from inference import views

urlpatterns = with_suffix("models/images/classification/classify_one", views.ClassifyOne, "classify-one")
