"""A snapshot as a function from images to scores. Plain Python: ONNX Runtime and NumPy, no training engine."""

import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from digits_project.onnx_runtime import open_session

MOST_IMAGES_A_RUN = 64  # bounds the memory that one run takes


class Predictor:
    """One loaded model.onnx. Threads may share it; what they ask for at the same time runs as one batch."""

    def __init__(self, onnx_file: Path):
        self._session = open_session(onnx_file)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self._running = threading.Lock()
        self._waiting: list[tuple[np.ndarray, Future]] = []

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Images, uint8 N×H×W×C as imagedb.images reads them, to float32 N×categories that sum to 1."""
        batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
        answer: Future = Future()
        self._waiting.append((batch, answer))
        while not answer.done():
            with self._running:
                self._run_what_waits()
        return answer.result()

    def _run_what_waits(self) -> None:
        """Whoever holds the lock works for all who came while the run before was going on."""
        asked: list[tuple[np.ndarray, Future]] = []
        while self._waiting and sum(len(batch) for batch, _ in asked) < MOST_IMAGES_A_RUN:
            asked.append(self._waiting.pop(0))
        if not asked:
            return
        answers = [answer for _, answer in asked]
        try:
            scores = self._session.run([self._output], {self._input: np.concatenate([batch for batch, _ in asked])})[0]
        except Exception as error:  # noqa: BLE001 - each of those who asked raises it
            for answer in answers:
                answer.set_exception(error)
            return
        parts = np.split(scores, np.cumsum([len(batch) for batch, _ in asked])[:-1])
        for answer, part in zip(answers, parts, strict=True):
            answer.set_result(part)


def ranked(scores: np.ndarray, categories: list[str], most: int = 5) -> list[tuple[str, float]]:
    """The `most` best categories of one image, best first, with percent (0 to 100, two places)."""
    best = np.argsort(-scores, kind="stable")[:most]
    return [(categories[i], round(100 * float(scores[i]), 2)) for i in best]
