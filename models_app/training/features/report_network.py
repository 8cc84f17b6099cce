"""The network whose features the reports of datasets compare: the packaged EfficientNet-Lite0."""

from datasets.report.vectors.feature_network import FeatureNetwork

# At 224 pixels, for which it was trained, it takes twice as long and finds as many wrong labels (decision 116).
NETWORK = FeatureNetwork(
    name="efficientnet_lite0",
    title="EfficientNet-Lite0",
    side=160,
    size=1280,
    writer="models_app.training.features.packaged_backbone:write_packaged_backbone",
)
