"""The demo's requests, as a script with a token sends them through an HTTPS proxy."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from digits_project.demo.client import multipart
from tests.docker.commands import CheckFailed, wait_until

TIMEOUT_SECONDS = 60
ENDED = ("Done", "Aborted", "Error")
SIZE = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
LENET = {"standard_networks": "lenet", "batch_size": 32, "random_seed": 1, "snapshot_interval": 1}

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy for 127.0.0.1


class ApiClient:
    """Sends requests to 127.0.0.1:port."""

    def __init__(self, port: int, token: str = ""):
        self.port = port
        self.token = token
        self.upstream = ""  # the host that sent the last response, if nginx.conf's proxy named it

    def send(self, path: str, fields: dict | None = None, files: dict[str, Path] | None = None) -> dict:
        """Send a GET request, or with fields a POST; return the JSON of the response. Raises CheckFailed."""
        body, headers = None, {"X-Forwarded-Proto": "https", "Authorization": f"Token {self.token}"}
        if files:
            body, kind = multipart(fields, files)
            headers |= kind
        elif fields is not None:
            body = urlencode(fields).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        try:
            with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                self.upstream = response.headers.get("X-Upstream", "").rpartition(", ")[2].partition(":")[0]
                return json.load(response)
        except urllib.error.HTTPError as refusal:
            raise CheckFailed(f"{path} got {refusal.code}: {refusal.read().decode(errors='replace')[:500]}") from None
        except (OSError, ValueError) as failure:
            raise CheckFailed(f"{path} got no response: {failure}") from None

    def page(self, path: str) -> str:
        """The text of a page or a static file. Raises CheckFailed."""
        headers = {"X-Forwarded-Proto": "https", "Authorization": f"Token {self.token}", "Accept": "text/html"}
        try:
            with _opener.open(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", None, headers)) as response:
                return response.read().decode(errors="replace")
        except OSError as failure:
            raise CheckFailed(f"{path} got no page: {failure}") from None

    def create_dataset(self, name: str) -> str:
        fields = {"dataset_name": name, "folder_train": "/data/digits", **SIZE}
        return self.send("/datasets/images/classification.json", fields)["id"]

    def create_model(self, name: str, dataset: str, epochs: int) -> str:
        fields = {"model_name": name, "dataset": dataset, "train_epochs": epochs, **LENET}
        return self.send("/models/images/classification.json", fields)["id"]

    def job(self, kind: str, job_id: str) -> dict:
        return self.send(f"/{kind}/{job_id}.json")

    def wait_for_end(self, kind: str, job_id: str, seconds: float) -> dict:
        """Wait until the job has ended; return it. Raises CheckFailed if it is not Done."""
        wait_until(f"{job_id} has ended", lambda: self.job(kind, job_id)["status"] in ENDED, seconds)
        job = self.job(kind, job_id)
        if job["status"] != "Done":
            raise CheckFailed(f"{job_id} is {job['status']}: {job.get('error')}")
        return job

    def wait_for_epoch(self, model: str, epoch: int, seconds: float) -> None:
        """Wait until a training has a snapshot of this epoch."""
        what = f"{model} has reached epoch {epoch}"
        wait_until(what, lambda: len(self.job("models", model).get("snapshots", ())) >= epoch, seconds)

    def classify(self, model: str, image: Path) -> dict:
        """The predictions for an image: {category: percent}."""
        path = "/models/images/classification/classify_one.json"
        return self.send(path, {"job_id": model}, {"image_file": image})["predictions"]
