"""The stack of docker/compose.yaml under `docker compose` or `docker-compose`, with a second host of each kind."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import yaml

from tests.docker.commands import CannotCheck, CheckFailed, run, wait_until
from tests.docker.daemon import Docker

PROJECT = "digits-check"
SUBNET = "172.31.250.0/24"  # fixed, so that a container that was cut off gets its address back, as a host would
# What an operator starts; the override file adds a second web host, a second train host and a proxy.
FIRST_HOSTS = ("postgres", "redis", "migrate", "web", "io", "io-spare", "train", "reaper")
SECOND_HOSTS = ("web-1", "train-1", "nginx")
NGINX = "nginx:1.28.0"
NGINX_CONF = Path(__file__).parent / "nginx.conf"
HEALTHY_SECONDS = 240


class ComposeStack:
    """A compose project in a folder of its own: copies of compose.yaml and secrets.sh, the secrets, the backups."""

    def __init__(self, docker: Docker, folder: Path, port: int, proxy_port: int):
        self.docker = docker
        self.folder = folder / "docker"
        self.backups = folder / "backups"
        self.words = compose_client(docker)
        self.environment = docker.environment | {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "DIGITS_DATA": str(folder / "data"),
            "DIGITS_PORT": str(port),
            "DIGITS_HOSTS": "localhost",
            "COMPOSE_HTTP_TIMEOUT": "300",
        }
        self.port, self.proxy_port = port, proxy_port

    def install(self, root: Path) -> dict[str, str]:
        """Take the compose file of a source tree, and make the secrets once. Returns the image of each service."""
        self.folder.mkdir(exist_ok=True)
        shutil.copy(root / "docker/secrets.sh", self.folder)
        text = (root / "docker/compose.yaml").read_text()
        text = text.replace("127.0.0.1:8000:", f"127.0.0.1:{self.port}:")  # in versions without DIGITS_PORT
        (self.folder / "compose.yaml").write_text(text)
        run("sh", self.folder / "secrets.sh")
        self.backups.mkdir(exist_ok=True)
        os.chown(self.backups, 10001, 10001)
        services = yaml.safe_load((self.folder / "compose.yaml").read_text())["services"]
        override = {"services": self._second_hosts(services), "networks": {"inside": inside(), "front": {}}}
        (self.folder / "second-hosts.yaml").write_text(json.dumps(override))
        return {name: service["image"] for name, service in services.items()}

    def __call__(self, *words: object) -> str:
        files = ("--file", "compose.yaml", "--file", "second-hosts.yaml")
        return run(*self.words, *files, *words, cwd=self.folder, env=self.environment)

    def up(self, *services: str) -> float:
        """Start services and wait until each is healthy; return the seconds that it took."""
        self("up", "--detach", "--no-build", "--no-deps" if services == ("nginx",) else "--remove-orphans", *services)
        checked = [name for name in services if name not in ("migrate", "nginx")]
        return wait_until(f"{', '.join(checked)} are healthy", lambda: not self.unhealthy(checked), HEALTHY_SECONDS)

    def manage(self, *words: str) -> str:
        """Run a command of manage.py in the web container."""
        return self.docker("exec", self.container("web"), "python3", "manage.py", *words)

    def run_once(self, *words: str) -> str:
        """Run a command of manage.py in a container of its own that sees /backups, as docs/operating.md says."""
        options = ("run", "--rm", "--volume", f"{self.backups}:/backups", "web", "python3", "manage.py")
        return self(*options, *words)

    def containers(self, service: str) -> list[str]:
        """The ids of the service's containers."""
        return self("ps", "--quiet", service).split()

    def container(self, service: str) -> str:
        found = self.containers(service)
        if not found:
            raise CheckFailed(f"the service {service} has no container")
        return found[0]

    def unhealthy(self, services: list[str]) -> list[str]:
        """The services that have no container, or one whose health check does not pass."""
        return [name for name in services if set(self.health(name)) != {"healthy"}]

    def health(self, service: str) -> list[str]:
        return [self.inspect(container, "{{.State.Health.Status}}") for container in self.containers(service)]

    def inspect(self, container: str, template: str) -> str:
        return self.docker("inspect", "--format", template, container)

    def kill(self, service: str) -> str:
        """SIGKILL the first process of a container from outside, as the kernel does when memory runs out."""
        container = self.container(service)
        os.kill(int(self.inspect(container, "{{.State.Pid}}")), signal.SIGKILL)
        return container

    def disconnect(self, service: str) -> None:
        """Cut a container off from all others."""
        self.docker("network", "disconnect", f"{PROJECT}_inside", self.container(service))

    def connect(self, service: str, address: str) -> None:
        network = f"{PROJECT}_inside"
        self.docker("network", "connect", "--ip", address, "--alias", service, network, self.container(service))

    def address(self, service: str) -> str:
        template = f'{{{{(index .NetworkSettings.Networks "{PROJECT}_inside").IPAddress}}}}'
        return self.inspect(self.container(service), template)

    def logs(self) -> str:
        """The last lines of every container, for a failure."""
        return self("logs", "--no-color", "--tail", "60")

    def _second_hosts(self, services: dict) -> dict:
        web = {key: value for key, value in services["web"].items() if key not in ("ports", "build")}
        train = {key: value for key, value in services["train"].items() if key != "build"}
        nginx = {
            "image": NGINX,
            "networks": ["inside", "front"],  # not outside, where web has a second address
            "ports": [f"127.0.0.1:{self.proxy_port}:8080"],
            "volumes": [f"{NGINX_CONF}:/etc/nginx/nginx.conf:ro"],
        }
        return {"web-1": web | {"networks": ["inside"]}, "train-1": train | {"hostname": "train-1"}, "nginx": nginx}


def inside() -> dict:
    return {"internal": True, "ipam": {"config": [{"subnet": SUBNET}]}}


def compose_client(docker: Docker) -> list[str]:
    """`docker compose`, or `docker-compose` where the plugin is missing."""
    if subprocess.run([docker.client, "compose", "version"], capture_output=True).returncode == 0:
        return [docker.client, "compose"]
    program = shutil.which("docker-compose")
    if not program:
        raise CannotCheck("neither docker compose nor docker-compose; on Debian: apt-get install docker-compose")
    return [program]
