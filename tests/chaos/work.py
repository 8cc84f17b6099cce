"""The load: two datasets, some of them revisions, and two models at any time, and checks of the jobs that ended."""

import collections
import contextlib
import hashlib
import http.client
import io
import json
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from models_app.training.snapshots.snapshot_reader import is_whole
from tests.chaos.target import CONNECTION_ERRORS, Server, wait_for
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.samples.training_samples import snapshot_weights

JOBS = 2  # of each kind at a time
LEFT_OUT = ["train/0", "val/0"]  # of a revision
DATASETS, MODELS = "/datasets/images/classification", "/models/images/classification"
SIZE = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
LARGE = {"resize_width": 256, "resize_height": 256, "resize_channels": 1, "encoding": "png"}
TRAINING = {"standard_networks": "lenet", "train_epochs": 40, "snapshot_interval": 5, "random_seed": 1}
UNFINISHED = ("Initialized", "Waiting", "Running")
# Parts of the errors that faults can cause in a correct server.
LOST_TOO_OFTEN = "The job has lost 3 processes"
EXPECTED_ERRORS = (LOST_TOO_OFTEN, "space", "could be read", "could not be read", "can be read")
RESPONSE_ERRORS = (*CONNECTION_ERRORS, http.client.HTTPException, zipfile.BadZipFile)


def is_expected(error: str) -> bool:
    """Whether faults explain the error of a job."""
    return any(part in error for part in EXPECTED_ERRORS)


class Work:
    """The jobs. `broken` collects violations, `errors` the messages of the jobs that ended in Error."""

    def __init__(self, server: Server):
        self.server = server
        self.run = server.run
        self.broken: list[str] = []
        self.errors: list[str] = []
        self.resumed: set[str] = set()
        self.ended = collections.Counter()
        self.seen: set[str] = set()
        self.images = write_28_pixel_digits(server.home / "images", each=60)
        self.created = 0

    def begin(self) -> None:
        """Build the dataset that is never attacked, and train a model without faults for its weights."""
        self.base = self.run.create_job(f"{DATASETS}.json", dataset_name="base", folder_train=str(self.images), **SIZE)
        assert wait_for(lambda: self.run.job_status(self.base) == "Done", 120), "the first dataset is not Done"
        model = self._create_model()
        assert wait_for(lambda: self.run.job_status(model) == "Done", 240), "the first model is not Done"
        self.bits = self._bits(model)
        self.run.send("DELETE", f"/models/{model}")

    def rows(self) -> list[tuple]:
        """(kind, id, status, worker, error) of every job but the first dataset."""
        columns = "job_id, status, worker, error"
        select = f"SELECT 'datasets', {columns} FROM datasets_dataset WHERE job_id <> %s"
        select += f" UNION ALL SELECT 'models', {columns} FROM models_app_trainedmodel ORDER BY 2"
        return self.server.query(select, self.base)

    def unfinished(self) -> list[tuple]:
        return [row for row in self.rows() if row[2] in UNFINISHED]

    def refill(self) -> None:
        """Check and delete ended jobs and create new ones. Does nothing while the server is unreachable."""
        with contextlib.suppress(*RESPONSE_ERRORS, AssertionError):
            self.check_ended()
            count = collections.Counter(kind for kind, *_ in self.unfinished())
            for _ in range(JOBS - count["datasets"]):
                self._create_dataset()
            for _ in range(JOBS - count["models"]):
                self._create_model()

    def check_ended(self) -> None:
        """Check and delete ended jobs. Aborted jobs stay for some rounds, so that they can be resumed; a job that lost
        too many processes is resumed once, so that it is Done in the end."""
        for kind, job_id, status, _, error in self.rows():
            if status in UNFINISHED or (status == "Aborted" and random.random() < 0.8):
                continue
            if status == "Error" and LOST_TOO_OFTEN in error and job_id not in self.resumed:
                self.run.send("POST", f"/{kind}/{job_id}/resume")
                self.resumed.add(job_id)
                self.errors.append(f"{kind} {job_id}, resumed: {error}")
                self.ended[f"{kind} resumed after Error"] += 1
                continue
            if job_id not in self.seen:
                self._check(kind, job_id, status, error)
                self.seen.add(job_id)
                self.ended[f"{kind} {status}"] += 1
            self.run.send("DELETE", f"/{kind}/{job_id}")

    def _create_dataset(self) -> str:
        self.created += 1
        if self.created % 3 == 0:
            return self.run.create_job(f"/datasets/{self.base}/revisions.json", exclude=LEFT_OUT)
        folder = self.server.home / "private" / str(self.created)
        for category in self.images.iterdir():
            (folder / category.name).mkdir(parents=True)
            for image in category.iterdir():
                for copy in "abc":
                    shutil.copyfile(image, folder / category.name / f"{copy}{image.name}")
        return self.run.create_job(
            f"{DATASETS}.json", dataset_name=f"d{self.created}", folder_train=str(folder), **LARGE
        )

    def _create_model(self) -> str:
        self.created += 1
        several = {"engine": "torch", "select_gpu_count": self.server.ranks} if self.server.ranks > 1 else {}
        fields = TRAINING | several
        return self.run.create_job(f"{MODELS}.json", model_name=f"m{self.created}", dataset=self.base, **fields)

    def _check(self, kind: str, job_id: str, status: str, error: str) -> None:
        if status == "Error":
            self.errors.append(f"{kind} {job_id}: {error}")
        if status == "Error" and not is_expected(error):
            self.broken.append(f"{kind} {job_id} failed: {error}")
        folder = self.server.jobs / job_id
        # A report on a dataset is a job of its own, which begins when the dataset is Done.
        files = [path for path in folder.rglob("*") if folder / "report" not in path.parents]
        partial = [one.name for one in files if one.name.startswith((".partial", "building")) or one.suffix == ".part"]
        if partial:
            self.broken.append(f"{kind} {job_id}, {status}, left {partial}")
        if status == "Done":
            check = self._check_dataset if kind == "datasets" else self._check_model
            check(job_id, folder)

    def _check_dataset(self, job_id: str, folder: Path) -> None:
        ((splits, revision),) = self.server.query(
            "SELECT splits, revision FROM datasets_dataset WHERE job_id = %s", job_id
        )
        ((base,),) = self.server.query("SELECT splits FROM datasets_dataset WHERE job_id = %s", self.base)
        if revision and [one["entries"] for one in splits] != [one["entries"] - 1 for one in base]:
            self.broken.append(f"{job_id}: {splits} is not {base} without {LEFT_OUT}")
        reports = "SELECT error FROM datasets_datasetreport WHERE dataset_id = %s AND status = 'Error'"
        for (error,) in self.server.query(reports, job_id):
            if not is_expected(error):
                self.broken.append(f"the report of {job_id} failed: {error}")
        try:
            for split in splits:
                with RecordReader(folder / f"{split['name']}.rec") as records:
                    if len(records) != split["entries"]:
                        self.broken.append(f"{job_id}: {split['name']} has {len(records)} records: {split}")
                    for number in range(len(records)):
                        decode_record(records[number][1])
        except Exception as damage:  # noqa: BLE001 - damage can raise any exception
            self.broken.append(f"{job_id}: {type(damage).__name__}: {damage}")

    def _check_model(self, job_id: str, folder: Path) -> None:
        rows = self.server.query("SELECT folder FROM models_app_snapshot WHERE trained_model_id = %s", job_id)
        recorded, folders = {name for (name,) in rows}, {f"snapshots/{p.name}" for p in folder.glob("snapshots/*")}
        expected_count = TRAINING["train_epochs"] // TRAINING["snapshot_interval"]
        if recorded != folders or len(recorded) != expected_count:
            self.broken.append(f"{job_id}: rows of {sorted(recorded)}, folders {sorted(folders)}")
        self.broken += [f"{job_id}: {name} is damaged" for name in recorded if not is_whole(folder / name)]
        metrics = "SELECT count(*), count(DISTINCT iteration) FROM models_app_metric WHERE trained_model_id = %s"
        ((total, distinct),) = self.server.query(f"{metrics} AND split = 'val'", job_id)
        if (total, distinct) != (TRAINING["train_epochs"],) * 2:
            self.broken.append(f"{job_id}: {total} validations, {distinct} different")
        if self._bits(job_id) != self.bits:
            self.broken.append(f"{job_id}: its weights are not those of the undisturbed training")
        self._check_responses(job_id)

    def _bits(self, job_id: str) -> str:
        arrays = snapshot_weights(self.server.jobs / job_id / f"snapshots/epoch-{TRAINING['train_epochs']}")
        digest = hashlib.sha256()
        for name in sorted(arrays):
            digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
        return digest.hexdigest()

    def _check_responses(self, job_id: str) -> None:
        """Classify an image and download the model. Raises RESPONSE_ERRORS while the server is unreachable."""
        image = str(self.images / "7" / "0.png")
        status, body = self.run.send("POST", f"{MODELS}/classify_one.json", job_id=job_id, image_path=image)
        if status in (502, 503):
            raise OSError("the server is unreachable")
        if status != 200 or next(iter(json.loads(body)["predictions"])) != "7":
            self.broken.append(f"{job_id}: classify_one responds with {status} {body[:300]!r}")
        status, body = self.run.request("GET", f"/models/{job_id}/download.zip")
        if status in (502, 503):
            raise OSError("the server is unreachable")
        if status != 200 or zipfile.ZipFile(io.BytesIO(body)).testzip() is not None:
            self.broken.append(f"{job_id}: its archive, {status}, is not whole")
