"""Which devices of which hosts train a model, and where their ranks meet."""

import secrets
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from digits_project.common.errors import Failed
from digits_project.jobs.models import Device, Job
from digits_project.jobs.scheduling import devices
from models_app.training import engines
from models_app.training.config import TrainConfig
from models_app.training.ranks.rendezvous import Rendezvous


def config_file(job: Job, host: int) -> Path:
    """The trainer's configuration for the host with this number."""
    return job.directory / (f"config-{host}.json" if host else "config.json")


def on_all_hosts(config: TrainConfig, hosts: Sequence[Sequence[Device]]) -> list[TrainConfig]:
    """The configurations of a training for its hosts, the first host's first. Each rank needs an image of every batch,
    so devices beyond the batch size are left out."""
    labels = [[device.label for device in held] for held in _first(hosts, config.batch_size)]
    if sum(map(len, labels)) == 1 or not engines.spanning([config.engine]):
        return [replace(config, devices=tuple(labels[0]))]
    meeting = Rendezvous(
        hosts=len(labels),
        address=settings.DIGITS_HOST_ADDRESS if len(labels) > 1 else "127.0.0.1",
        port=free_port() if len(labels) > 1 else 0,
        identity=secrets.token_hex(16),
        timeout=float(settings.DIGITS_RANK_TIMEOUT),
    )
    return [
        replace(config, devices=tuple(own), rendezvous=replace(meeting, host=number).to_dict())
        for number, own in enumerate(labels)
    ]


def is_first_host(job: Job) -> bool:
    """Whether this host is the one that runs the job."""
    hosts = devices.hosts_of(job)
    return bool(hosts) and hosts[0][0].host == settings.DIGITS_HOST_NAME


def free_port() -> int:
    """A free port of this host, among DIGITS_RANK_PORTS if that is set."""
    for port in settings.DIGITS_RANK_PORTS or (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    taken = settings.DIGITS_RANK_PORTS
    raise Failed(f"All ports of DIGITS_RANK_PORTS, {taken[0]} to {taken[-1]}, are in use; give this host more of them.")


def _first(hosts: Sequence[Sequence[Device]], most: int) -> list[Sequence[Device]]:
    """The hosts with at most this many devices together."""
    chosen = []
    for held in hosts:
        chosen.append(held[:most])
        most -= len(chosen[-1])
    return [held for held in chosen if held]
