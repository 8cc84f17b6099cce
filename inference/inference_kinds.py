"""The inference routes and the metrics of each kind of models, by the kind's name in models_app.kinds."""

from inference.engine.classification_metrics import ClassificationMetrics
from models_app.kinds import CLASSIFICATION, GENERIC

# The questions to a snapshot: actions of InferenceViewSet that have a route below /models/images/<kind>/.
QUESTIONS = {CLASSIFICATION: ("classify_one", "classify_many", "top_n"), GENERIC: ("infer_one", "infer_many")}
# What collects the scores and truths of an evaluation, for each kind that is evaluated.
METRICS = {CLASSIFICATION: ClassificationMetrics}
