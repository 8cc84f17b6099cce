"""The inference routes and the metrics of each kind of models, by the kind's name in models_app.kinds."""

from inference.engine.classification_metrics import ClassificationMetrics
from models_app.kinds import CLASSIFICATION, GENERIC

# The actions of InferenceViewSet that have a route below /models/images/<kind>/.
QUESTIONS = {CLASSIFICATION: ("classify_one", "classify_many", "top_n"), GENERIC: ("infer_one", "infer_many")}
# The class that collects scores and true categories in an evaluation, for each kind that is evaluated.
METRICS = {CLASSIFICATION: ClassificationMetrics}
