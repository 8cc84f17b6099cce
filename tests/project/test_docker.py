"""The images and compose files, checked without Docker. tools/prove_images.py builds the images."""

import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands, load_command_class

from digits_project import environment
from tests.support.server import ROOT

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
GPU = {
    target: yaml.safe_load((DOCKER / file).read_text())["services"]
    for target, file in (("worker-gpu", "compose.gpu.yaml"), ("worker-torch", "compose.torch.yaml"))
}
SERVICES = COMPOSE["services"]
OWN_SERVICES = [name for name, service in SERVICES.items() if service["image"].startswith("digits-")]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
TARGETS = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M))


def test_hadolint_accepts_the_dockerfile():
    finished = subprocess.run([Path(sys.executable).parent / "hadolint", DOCKER / "Dockerfile"], capture_output=True)
    assert (finished.returncode, finished.stdout) == (0, b"")


def test_every_base_image_has_a_fixed_version():
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) - TARGETS - {"scratch"}
    images = [service["image"] for name, service in SERVICES.items() if name not in OWN_SERVICES]
    assert [image for image in [*bases, *images] if not re.fullmatch(r"\w+:\d+\.\d+[\w.-]*", image)] == []


def test_no_image_runs_as_root():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.M)
    final = {stage.split()[2]: stage for stage in stages[1:] if "CMD [" in stage}
    assert set(final) == {"web", "worker", *GPU}
    assert [name for name, stage in final.items() if not re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.M)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_write_only_to_its_volumes(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("privileged", False) is False


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_secrets_and_networks_of_a_service_exist(name):
    service = SERVICES[name]
    volumes = {entry.split(":")[0] for entry in service.get("volumes", [])}
    assert {volume for volume in volumes if re.fullmatch(r"\w+", volume)} <= set(COMPOSE["volumes"])
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", [])) <= set(SERVICES)
    files = [value for value in service.get("environment", {}).values() if value.startswith("/run/secrets/")]
    assert {Path(file).name for file in files} <= set(service["secrets"])
    assert service.get("build", {}).get("target", "web") in TARGETS


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_of_this_project_runs_a_command_that_exists(name):
    words = SERVICES[name].get("command", ["python3", "manage.py", "worker"])
    assert words[:2] == ["python3", "manage.py"]
    assert words[2] in get_commands()


def queues_of_workers():
    """The queues that `manage.py worker` can listen on."""
    parser = load_command_class("digits_project.jobs", "worker").create_parser("manage.py", "worker")
    return {queue for action in parser._actions if action.dest == "queue" for queue in action.choices}


def test_every_kind_of_worker_has_a_service_with_a_health_check():
    commands = {name: service.get("command", []) for name, service in SERVICES.items()}
    listening = {command[-1]: name for name, command in commands.items() if command[2:3] == ["worker"]}
    assert set(listening) == queues_of_workers() == {"io", "io-spare", "train"}
    checked = {SERVICES[listening[queue]]["healthcheck"]["test"][-1] for queue in ("io", "io-spare")}
    assert checked == {"worker"}


def test_the_settings_read_every_variable_of_the_compose_file():
    source = (ROOT / "digits_project" / "settings.py").read_text()
    named = {name.removesuffix("_FILE") for name in SERVICES["web"]["environment"]} - {"SECRET_KEY"}
    assert [name for name in named if f'"{name}"' not in source] == []


def test_only_the_web_server_has_a_port_and_only_on_loopback():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["127.0.0.1:${DIGITS_PORT:-8000}:8000"]
    }
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == ["web"]


@pytest.mark.parametrize("target", GPU)
def test_a_gpu_worker_is_the_train_service_on_another_image(target):
    services = GPU[target]
    assert set(services) <= set(SERVICES)
    assert (services["train"]["image"], services["train"]["build"]["target"]) == (f"digits-{target}", target)
    assert services["train"]["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"


@pytest.mark.parametrize("target, lock", [("worker", "worker"), ("worker-gpu", "gpu"), ("worker-torch", "torch")])
def test_an_image_that_trains_installs_the_lock_of_its_engine_beside_the_server(target, lock):
    assert f"FROM build-web AS build-{target}\n" in DOCKERFILE
    built = DOCKERFILE.partition(f"FROM build-web AS build-{target}\n")[2].partition("\nFROM ")[0]
    assert f"--require-hashes --only-binary :all: -r /srv/digits/requirements/{lock}.txt" in built
    assert f"COPY --from=build-{target} /opt/digits /opt/digits" in DOCKERFILE


def test_the_lock_of_pytorch_has_the_versions_of_the_server():
    """Both are installed into one environment in the image worker-torch."""
    base, torch = (
        dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text(), re.M))
        for name in ("base", "torch")
    )
    shared = base.keys() & torch.keys()
    assert "onnxruntime" in shared
    assert [name for name in shared if base[name] != torch[name]] == []


def test_the_script_creates_the_secrets_that_the_compose_file_names(tmp_path):
    script = tmp_path / "secrets.sh"
    script.write_bytes((DOCKER / "secrets.sh").read_bytes())
    subprocess.run(["sh", script], check=True, capture_output=True)
    secrets = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"secrets/{name}" for name in secrets} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert environment.database(secrets["database_url"].strip())["PASSWORD"] == secrets["postgres_password"]
    assert len(secrets["postgres_password"]) == len(secrets["secret_key"]) == 64
    assert f"requirepass {secrets['redis_password']}\n" in secrets["redis_conf"]
    assert oct((tmp_path / "secrets").stat().st_mode & 0o777) == "0o700"
    again = subprocess.run(["sh", script], check=True, capture_output=True, text=True)
    assert "nothing was changed" in again.stdout
    assert (tmp_path / "secrets" / "secret_key").read_text() == secrets["secret_key"]


def health_status(kind):
    return subprocess.run([sys.executable, DOCKER / "healthy.py", kind], capture_output=True).returncode


def test_a_worker_is_healthy_while_it_is_registered_in_redis(register_worker):
    assert health_status("worker") == 1
    register_worker("io")
    assert health_status("worker") == 0


def test_a_reaper_is_healthy_after_its_first_round(run_reaper_once):
    assert health_status("reaper") == 1
    run_reaper_once()
    assert health_status("reaper") == 0


def test_a_web_server_that_does_not_respond_is_not_healthy(monkeypatch, live_server):
    monkeypatch.setenv("GUNICORN_BIND", f"0.0.0.0:{live_server.thread.port}")
    assert health_status("web") == 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = listener.getsockname()[1]
    monkeypatch.setenv("GUNICORN_BIND", f"0.0.0.0:{unused}")
    assert health_status("web") == 1


def test_a_secret_can_be_read_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("postgresql://digits@db/digits\n")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert environment.service_url("DATABASE_URL", tmp_path) == "postgresql://digits@db/digits"
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "url"))
    assert environment.secret_key(tmp_path) == "postgresql://digits@db/digits"


@pytest.mark.parametrize(
    "content, variable, message",
    [
        (b"x", "y", "are both set"),
        (b" \n", "", "is empty"),
        (b"\xff", "", "can't be read"),
    ],
    ids=["twice", "empty", "no text"],
)
def test_an_invalid_secret_file_is_refused_with_the_reason(monkeypatch, tmp_path, content, variable, message):
    (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("REDIS_URL", variable)
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match=message):
        environment.secret("REDIS_URL")


def test_the_build_context_contains_exactly_what_the_dockerfile_copies():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    included = [line[1:] for line in lines if line.startswith("!")]
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M) for word in shlex.split(line)[:-1]
    ]
    assert sorted(copied) == sorted(included)
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
