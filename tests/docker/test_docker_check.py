"""The containers with a real Docker daemon, if DOCKER_CHECK asks for it; and what can be tested of it without one."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from tests.docker.compose_stack import FIRST_HOSTS, NGINX
from tests.docker.daemon import empty_tables, why_not
from tests.docker.images import ROOT, STAND_INS, TARGETS, slim

WHY_NOT = why_not() if os.environ.get("DOCKER_CHECK") else "half an hour; DOCKER_CHECK=1 runs it (make docker-check)"
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]


@pytest.mark.slow(1800)
@pytest.mark.timeout(5400)
@pytest.mark.skipif(
    not os.environ.get("DOCKER_CHECK"), reason="half an hour; DOCKER_CHECK=1 runs it (make docker-check)"
)
def test_the_containers_pass_the_whole_docker_check():
    if reason := why_not():
        pytest.skip(reason)
    finished = subprocess.run([sys.executable, "-m", "tests.docker", "--before", "HEAD~100"], cwd=ROOT)
    assert finished.returncode == 0


def test_every_public_image_of_the_compose_files_has_a_stand_in():
    stand_ins = set(re.findall(r"^FROM \S+ AS (\w+)$", (STAND_INS / "Dockerfile").read_text(), re.M))
    public = {service["image"] for service in COMPOSE.values()} - set(TARGETS.values()) | {NGINX}
    assert {image.partition(":")[0] for image in public} == stand_ins


def test_the_docker_check_starts_every_service():
    assert set(FIRST_HOSTS) == set(COMPOSE)


def test_a_stand_in_for_a_slim_debian_has_no_documentation(tmp_path):
    for folder in ("usr/share/doc/bash", "usr/share/locale/de", "etc/dpkg/dpkg.cfg.d", "etc/apt/apt.conf.d", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    slim(tmp_path)
    assert list((tmp_path / "usr/share").glob("*/*")) == []
    assert (tmp_path / "bin").is_dir()
    assert "path-exclude /usr/share/doc/*\n" in (tmp_path / "etc/dpkg/dpkg.cfg.d/slim").read_text()


def test_network_rules_of_the_machine_are_kept_when_the_daemon_ends():
    assert "*filter" not in empty_tables("*filter\n:INPUT DROP\nCOMMIT\n")
    assert empty_tables("*filter\nCOMMIT\n").startswith("*nat\n:PREROUTING ACCEPT\n")
