"""Prepares a training on features: opens the engine of the head, and the features in place of the images."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from digits_project.common.errors import BadInput
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
from models_app.training.features.head_engine import HeadEngine
from models_app.training.features.passes import PassProgress

DEFAULT_VIEWS = 1
SAMPLE = 8  # images on which snapshots are compared: the whole network computes them each time


def prepare_head_training(
    config: TrainConfig,
    whole: EngineConfig,
    parts: NetworkParts,
    weights: Mapping[str, np.ndarray],
    layout: InputLayout,
    emit: Emit,
    check_abort: Callable[[], None],
) -> tuple[Prepared, Emit]:
    """Open the features, computing them if need be, and the engine. Returns them, and what emits the events of the
    training: its progress begins where that of the computation ended.

    whole, layout: the engine's configuration and the images of the same training without features.
    weights: those of the start. Raises BadInput.
    """
    records = [Records(Path(path), layout, config.settled_threads) for path in _paths(config)]
    views = _views(config, layout)
    counts = [len(one) for one in records]
    passes = PassProgress(emit, check_abort, counts[0] * views + sum(counts[1:]))
    work = Pass(
        Backbone(parts, weights, whole.mean, whole.scale, whole.aug_whitening),
        Path(config.directory),
        config.settled_threads,
        passes,
    )
    opened = [_open(one, number, work, emit) for one, number in zip(records, (views, 1), strict=False)]
    sample = sample_of(records[-1], min(SAMPLE, config.batch_size))
    for one in records:
        one.close()
    train_images, *val = opened
    engine = _engine(config, whole, parts, weights, len(sample))
    return Prepared(engine, train_images, val[0] if val else None, sample), passes.emit_rest


def _paths(config: TrainConfig) -> list[str]:
    return [config.train_records, *([config.val_records] if config.val_records else [])]


def _views(config: TrainConfig, layout: InputLayout) -> int:
    """How many views an image has: one, if all would be the same."""
    if layout.at_random(0, 0, 0, 1) is None:
        return 1
    return DEFAULT_VIEWS if config.feature_views is None else config.feature_views


def _open(records: Records, views: int, work: Pass, emit: Emit) -> FeatureFile:
    if not len(records):
        raise BadInput(f"{records.path} holds no images")
    started = time.monotonic()
    opened, computed = open_features(records, views, work)
    work.progress.finish(len(records) * views)
    seconds = round(time.monotonic() - started, 2)
    facts = {"split": records.path.stem, "images": len(records), "views": views, "size": work.backbone.size}
    emit({"event": "features", **facts, "computed": computed, "seconds": seconds})
    return opened


def _engine(
    config: TrainConfig, whole: EngineConfig, parts: NetworkParts, weights: Mapping[str, np.ndarray], sample: int
) -> Engine:
    name = choose_installed(whole.network, config.engine)
    head = replace(whole, network=parts.head, mean=None, scale=None, aug_whitening=False, input_type="float32")
    learned = {weight.name for weight in parts.head.weights()}
    fixed = {weight: array for weight, array in weights.items() if weight not in learned}
    return HeadEngine(open_engine(name, head), lambda: open_engine(name, replace(whole, batch_size=sample)), fixed)
