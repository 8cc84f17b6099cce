"""What an operator does with the containers over the years, in half an hour."""

import argparse
import json
import time
from pathlib import Path

from digits_project.demo.walkthrough import write_digits
from tests.docker.api_client import ApiClient
from tests.docker.commands import CheckFailed, say, wait_until
from tests.docker.compose_stack import FIRST_HOSTS, NGINX, ComposeStack
from tests.docker.daemon import Docker
from tests.docker.images import MAX_WEB_BYTES, ROOT, TARGETS, Images, old_tree

EPOCHS = 120  # of the trainings that are interrupted
JOB_SECONDS = 900  # for one job, on a busy machine
CUT_OFF_SECONDS = 180  # until a job of a host that was cut off runs elsewhere: 60 s of silence, and the dispatch
REQUESTS = 20
PAGES = (
    "/",
    "/login",
    "/api/docs",
    "/static/admin/css/base.css",
    "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
    "/static/rest_framework/css/default.css",
)
OWN = [name for name in FIRST_HOSTS if name not in ("postgres", "redis")]


class OperatorLife:
    """One stack, from its first start to its end. Each step raises CheckFailed."""

    def __init__(self, docker: Docker, folder: Path, options: argparse.Namespace):
        self.docker = docker
        self.options = options
        self.work = folder / "work"
        self.work.mkdir(exist_ok=True)
        self.images = Images(docker, folder, pull=options.pull)
        self.stack = ComposeStack(docker, self.work, options.port, options.port + 1)
        self.client = ApiClient(options.port)
        self.proxy = ApiClient(options.port + 1)
        self.dataset = self.model = ""
        self.predictions: dict = {}
        self.curve: list[float] = []

    def run(self) -> None:
        write_digits(self.work / "data" / "digits")
        self.image = self.work / "data" / "digits" / "3" / "0003.png"
        try:
            if self.options.before:
                self.start(old_tree(self.options.before, self.work))
                self.demo_requests()
                self.upgrade()
            else:
                self.start(ROOT)
                self.demo_requests()
                self.check_pages()
            self.scale_workers()
            self.kill_worker()
            self.cut_worker_off()
            self.kill_services()
            self.two_web_hosts()
            self.backup_and_restore()
        except CheckFailed:
            print(self.stack.logs(), flush=True)
            raise
        finally:
            say("down: containers, networks and volumes")
            self.stack("down", "--volumes", "--remove-orphans")

    def start(self, root: Path) -> None:
        """Build the images of a source tree and start its stack for the first time."""
        self.build(root)
        services = self.install(root)
        say(f"up: every service is healthy after {self.stack.up(*services):.0f} s")
        password = self.stack.run_once("ensure_superuser")
        self.client.token = self.proxy.token = self.stack.manage("token", "make", "admin").splitlines()[-1]
        expect(len(password.split()[-1]) >= 16, "ensure_superuser shows a password")
        expect(len(self.stack.containers("io")) == 2, "two containers build datasets, as compose.yaml says")

    def build(self, root: Path) -> None:
        self.images.get_base(root)
        sizes = {target: self.images.build(target, TARGETS[target], root) for target in self.targets(root)}
        if root == ROOT:
            print("\n".join(self.images.largest_layers("digits-web")), flush=True)
            expect(sizes["web"] < MAX_WEB_BYTES, f"the image web is smaller than {MAX_WEB_BYTES / 1e6:.0f} MB")

    def targets(self, root: Path) -> list[str]:
        return ["web", "worker", *(["worker-gpu", "worker-torch"] if self.options.gpu and root == ROOT else [])]

    def install(self, root: Path) -> list[str]:
        """Take the compose file of a source tree; provide its public images. Returns its services."""
        services = self.stack.install(root)
        base = self.images.get_base(ROOT)
        for image in [image for image in services.values() if not image.startswith("digits-")] + [NGINX]:
            self.images.get_service(image, base)
        return list(services)

    def demo_requests(self) -> None:
        self.dataset = self.client.create_dataset("Handwritten digits")
        images = self.client.wait_for_end("datasets", self.dataset, JOB_SECONDS)["ParseFolderTasks"][0]["train_count"]
        self.model = self.client.create_model("LeNet", self.dataset, EPOCHS)
        began = time.monotonic()
        model = self.client.wait_for_end("models", self.model, JOB_SECONDS)
        seconds = time.monotonic() - began
        self.curve = losses(model)
        self.predictions = self.client.classify(self.model, self.image)
        accuracy = model["val_outputs"]["accuracy"][-1]
        expect(accuracy > 0.97 and next(iter(self.predictions)) == "3", "the demo's model classifies digits")
        say(f"demo: {images} images, {EPOCHS} epochs in {seconds:.0f} s, accuracy {accuracy:.4f}")

    def upgrade(self) -> None:
        """Back up, stop, take the new images and the new compose file, and start: the jobs are there as before."""
        self.stack.run_once("backup", "/backups/before.tar")
        self.stack("stop", *[name for name in OWN if self.stack.containers(name)])
        self.build(ROOT)
        seconds = self.stack.up(*self.install(ROOT))
        self.check_jobs()
        self.check_pages()
        say(f"upgrade from {self.options.before}: healthy after {seconds:.0f} s, same predictions")

    def scale_workers(self) -> None:
        self.stack.up("train-1")
        self.train_on_both()
        say("two workers: two trainings ran at the same time, and are Done")

    def train_on_both(self) -> None:
        """Train two models; both hosts must work on one at the same time."""
        models = [self.client.create_model(f"pair {number}", self.dataset, EPOCHS // 2) for number in (1, 2)]
        wait_until("both hosts train", lambda: set(self.holders()) == {"train-0", "train-1"}, JOB_SECONDS)
        for model in models:
            self.client.wait_for_end("models", model, JOB_SECONDS)

    def kill_worker(self) -> None:
        model, service = self.begin_training("killed")
        container = self.stack.kill(service)
        restarts = "{{.RestartCount}}"
        wait_until("Docker restarts it", lambda: int(self.stack.inspect(container, restarts)) > 0, 60)
        self.finish(model)
        say(f"{service} killed: restarted, its training is Done with the same losses")

    def cut_worker_off(self) -> None:
        model, service = self.begin_training("cut off")
        host, address = hostname(service), self.stack.address(service)
        self.stack.disconnect(service)
        other = ({"train-0", "train-1"} - {host}).pop()
        seconds = wait_until("its job runs elsewhere", lambda: self.holders().get(other) == model, CUT_OFF_SECONDS)
        self.stack.connect(service, address)
        self.finish(model)
        wait_until("the host is healthy again", lambda: not self.stack.unhealthy([service]), 120)
        self.train_on_both()
        say(f"{service} cut off: its training ran on {other} after {seconds:.0f} s, Done with the same losses")

    def begin_training(self, name: str) -> tuple[str, str]:
        """Start a training and wait for its second snapshot. Returns its id, and the service that runs it."""
        model = self.client.create_model(name, self.dataset, EPOCHS)
        self.client.wait_for_epoch(model, 2, JOB_SECONDS)
        host = next((host for host, job in self.holders().items() if job == model), None)
        if host is None:
            raise CheckFailed(f"no host runs {model}: {self.holders()}")
        return model, {"train-0": "train", "train-1": "train-1"}[host]

    def finish(self, model: str) -> None:
        """Wait until an interrupted training is Done; its losses must be those of one that nobody interrupted."""
        expect(losses(self.client.wait_for_end("models", model, JOB_SECONDS)) == self.curve, "the same losses")

    def holders(self) -> dict[str, str]:
        """{host: id of the job that has its device}."""
        devices = json.loads(self.stack.manage("devices", "--json"))
        return {facts["device"].partition("/")[0]: facts["held_by"]["id"] for facts in devices if facts["held_by"]}

    def kill_services(self) -> None:
        for service in ("postgres", "redis", "web", "reaper"):
            self.stack.kill(service)
            wait_until(f"{service} is restarted", self.jobs_are_right, 120)
            wait_until(f"{service} is healthy", lambda name=service: not self.stack.unhealthy([name]), 120)
        model = self.client.create_model("afterwards", self.dataset, 1)
        self.client.wait_for_end("models", model, JOB_SECONDS)
        say("postgres, redis, web and reaper killed one by one: restarted, and a training is Done")

    def two_web_hosts(self) -> None:
        """Two web hosts behind nginx; one of them is cut off and comes back."""
        self.stack.up("web-1")
        self.stack.up("nginx")
        both = {self.stack.address("web"), self.stack.address("web-1")}
        wait_until("nginx uses both hosts", lambda: self.ask_proxy()[0] == both, 60)
        address = self.stack.address("web-1")
        self.stack.disconnect("web-1")
        hosts, slowest = self.ask_proxy()
        expect(hosts == both - {address}, "while one host is cut off, every request gets its response from the other")
        self.stack.connect("web-1", address)
        seconds = wait_until("nginx uses both hosts again", lambda: self.ask_proxy()[0] == both, 60)
        dataset = self.proxy.create_dataset("through the proxy")
        self.proxy.wait_for_end("datasets", dataset, JOB_SECONDS)
        say(f"two web hosts: one cut off, no request failed, the slowest {slowest:.1f} s; back after {seconds:.0f} s")

    def ask_proxy(self) -> tuple[set[str], float]:
        """Classify through the proxy. Returns the addresses that responded, and the seconds of the slowest request."""
        hosts, slowest = set(), 0.0
        for _ in range(REQUESTS):
            began = time.monotonic()
            expect(self.proxy.classify(self.model, self.image) == self.predictions, "both hosts predict the same")
            slowest = max(slowest, time.monotonic() - began)
            hosts.add(self.proxy.upstream)
        return hosts, slowest

    def backup_and_restore(self) -> None:
        """Back up while the stack runs, remove every volume, restore into new ones."""
        self.stack.run_once("backup", "/backups/all.tar")
        size = (self.stack.backups / "all.tar").stat().st_size
        self.stack("down", "--volumes", "--remove-orphans")
        self.stack.up("postgres", "redis")
        self.stack.run_once("restore", "/backups/all.tar")
        self.stack.up(*FIRST_HOSTS)
        self.check_jobs()
        model = self.client.create_model("after the restore", self.dataset, 1)
        self.client.wait_for_end("models", model, JOB_SECONDS)
        say(f"backup of {size / 1e6:.0f} MB restored: same token, same predictions, and a training is Done")

    def check_pages(self) -> None:
        """Pages and static files of every package that brings some are in the image."""
        for path in PAGES:
            expect(len(self.client.page(path)) > 500, f"{path} is a page")

    def check_jobs(self) -> None:
        expect(self.jobs_are_right(), "the first model is Done and predicts as before")

    def jobs_are_right(self) -> bool:
        """Whether the first model still gives the predictions that it gave."""
        status = self.client.job("models", self.model)["status"]
        return status == "Done" and self.client.classify(self.model, self.image) == self.predictions


def expect(true: object, what: str) -> None:
    if not true:
        raise CheckFailed(f"not so: {what}")


def losses(model: dict) -> list[float]:
    return model["val_outputs"]["loss"]


def hostname(service: str) -> str:
    return {"train": "train-0", "train-1": "train-1"}[service]
