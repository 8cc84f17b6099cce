"""Prepares a training on features: opens the engine of the head, and the features in place of the images."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from digits_project.common.errors import BadInput
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.callbacks import Emit
from models_app.training.config import TrainConfig
from models_app.training.data.crops import InputLayout
from models_app.training.data.pixels import Records
from models_app.training.data.prepared import Prepared, sample_of
from models_app.training.engines import Engine, EngineConfig, choose_installed, open_engine
from models_app.training.features.backbone import Backbone
from models_app.training.features.division import NetworkParts
from models_app.training.features.feature_cache import Pass, open_features
from models_app.training.features.feature_file import FeatureFile
from models_app.training.features.fixed_views import FixedViews, number_of_views
from models_app.training.features.head_engine import HeadEngine
from models_app.training.features.passes import PassProgress
from models_app.training.features.plan import check_room
from models_app.training.hyperparameter_declaration import BadHyperparameter

SAMPLE = 8  # images on which snapshots are compared: the whole network computes them each time

logger = logging.getLogger("trainer")


def open_views(config: TrainConfig, layout: InputLayout, parts: NetworkParts) -> list[FixedViews]:
    """The views of the images of both splits whose features are trained on; none if these take too much room.

    Raises BadInput for a split without images, or if views are wanted that take too much room.
    """
    records = [Records(path, layout, config.settled_threads) for path in config.record_files]
    if empty := next((one for one in records if not len(one)), None):
        raise BadInput(f"{empty.path} holds no images")
    counts = (number_of_views(records[0], config, config.feature_views), 1)
    views = [FixedViews(one, config, count) for one, count in zip(records, counts, strict=False)]
    try:
        for one in views:
            check_room(len(one.records), one.count, parts.size)
    except BadHyperparameter as wrong:
        if config.feature_views is not None:
            raise
        logger.warning("%s: the whole network is trained", wrong)
        return []
    return views


def prepare_head_training(
    config: TrainConfig,
    whole: EngineConfig,
    parts: NetworkParts,
    views: Sequence[FixedViews],
    weights: Mapping[str, np.ndarray],
    emit: Emit,
    check_abort: Callable[[], None],
) -> tuple[Prepared, Emit]:
    """Open the features, computing them if need be, and the engine. Returns them, and what emits the events of the
    training: its progress begins where that of the computation ended.

    whole: the engine's configuration of the same training without features. weights: those of the start.
    """
    passes = PassProgress(emit, check_abort, sum(len(one.records) * one.count for one in views))
    backbone = Backbone(parts, weights, whole.mean, whole.scale, whole.aug_whitening)
    work = Pass(backbone, Path(config.directory), config.settled_threads, passes)
    train_images, *val = [_open(one, work, emit) for one in views]
    sample = sample_of(views[-1].records, min(SAMPLE, config.batch_size))
    for one in views:
        one.records.close()
    engine = _engine(config, whole, parts, weights, len(sample))
    of_batches = Augmentation(label_smoothing=config.label_smoothing)  # images were augmented before
    return Prepared(engine, train_images, val[0] if val else None, sample, of_batches), passes.emit_rest


def _open(views: FixedViews, work: Pass, emit: Emit) -> FeatureFile:
    started = time.monotonic()
    opened, computed = open_features(views, work)
    work.progress.finish(len(opened) * views.count)
    facts = {"split": views.records.path.stem, "images": len(opened), "views": views.count, "size": work.backbone.size}
    seconds = round(time.monotonic() - started, 2)
    emit({"event": "features", **facts, "computed": computed, "seconds": seconds})
    return opened


def _engine(
    config: TrainConfig, whole: EngineConfig, parts: NetworkParts, weights: Mapping[str, np.ndarray], sample: int
) -> Engine:
    name = choose_installed(whole.network, config.engine, config)
    head = replace(whole, network=parts.head, mean=None, scale=None, aug_whitening=False, input_type="float32")
    learned = {weight.name for weight in parts.head.weights()}
    fixed = {weight: array for weight, array in weights.items() if weight not in learned}
    return HeadEngine(open_engine(name, head), lambda: open_engine(name, replace(whole, batch_size=sample)), fixed)
