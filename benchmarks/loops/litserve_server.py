"""A LitServe server for model.onnx, in an environment with requirements/anchors.txt. It imports nothing of the product.

The arguments are model.onnx, channels, size, a free port, and a setting: the workers, the threads of each, the largest
batch, and `zmq` or `pipes`, which carry the requests to the workers. Images are decoded as the bare loops do.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import litserve
import numpy as np

from benchmarks.loops.bare_onnx_loop import Reader, open_session

BATCH_SECONDS = 0.01  # how long a worker waits for more requests
BEST = 5


class Classifier(litserve.LitAPI):
    """Decodes the images of a batch, on threads if a worker has several, and runs it."""

    def __init__(self, onnx_file: str, channels: int, size: int, threads: int, most: int) -> None:
        super().__init__(max_batch_size=most, batch_timeout=BATCH_SECONDS)
        self._onnx_file, self._threads = onnx_file, threads
        self._channels, self._size = channels, size

    def setup(self, _: object) -> None:
        """Called in each worker."""
        self._reader = Reader([], self._channels, self._size)
        self._session = open_session(self._onnx_file, spins=True, threads=self._threads)
        self._source = self._session.get_inputs()[0].name
        self._pool = ThreadPoolExecutor(self._threads)

    def decode_request(self, request) -> bytes:  # LitServe would take an annotation for the form of the request
        return request["image_file"].file.read()

    def batch(self, inputs: list[bytes]) -> np.ndarray:
        decode = self._pool.map if self._threads > 1 else map
        return np.concatenate(list(decode(self._reader.read, inputs)))

    def predict(self, batch: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._source: batch})[-1]

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict:
        return {"predictions": [[int(best), float(output[best])] for best in np.argsort(-output)[:BEST]]}


def main() -> None:
    onnx_file, *numbers, carrier = sys.argv[1:]
    channels, size, port, workers, threads, most = map(int, numbers)
    classifier = Classifier(onnx_file, channels, size, threads, most)
    server = litserve.LitServer(
        classifier, accelerator="cpu", workers_per_device=workers, fast_queue=carrier == "zmq", timeout=False
    )
    quiet = {"log_level": "warning", "access_log": False, "generate_client_file": False}
    server.run(host="127.0.0.1", port=port, **quiet)


if __name__ == "__main__":
    main()
