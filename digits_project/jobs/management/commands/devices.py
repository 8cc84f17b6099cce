"""`manage.py devices`"""

from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, wrong
from digits_project.jobs.models import Device
from digits_project.jobs.overview import holders
from digits_project.jobs.scheduling import devices

GIB = 1 << 30


class Command(ConsoleCommand):
    help = (
        "List the devices for training and the jobs that hold them, or switch devices on or off. When a device is "
        "switched off, the job that holds it continues, and no new job gets it. Train workers register the devices "
        "of their hosts."
    )
    example = "\noff gpu0 gpu1\non otherhost/cpu"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("action", nargs="?", choices=["list", "on", "off"], default="list", help="[list]")
        parser.add_argument("devices", nargs="*", metavar="DEVICE", help="cpu, gpu0, …, or HOST/gpu0")

    def handle(self, *, action, devices, **options):
        known = list(Device.objects.all())
        chosen = [device for name in devices for device in _named(name, known)] or known
        if action != "list":
            if not devices:
                raise wrong("Name the devices to switch; manage.py devices lists them.")
            for device in chosen:
                services.switch_device(device, action == "on")
                device.enabled = action == "on"
        jobs = holders(chosen)
        described = [_described(device, jobs.get(device.leased_to)) for device in chosen]
        if self.as_json:
            self.print_json(described)
            return
        self.print_table(
            (facts["device"], "on" if facts["on"] else "off", facts["model"], _engines(facts), _shown(facts))
            for facts in described
        )
        if not known:
            self.stdout.write(
                "There are no devices yet. A train worker registers those of its host: manage.py worker train"
            )


def _named(name: str, known: list[Device]) -> list[Device]:
    found = [device for device in known if name in (device.label, f"{device.host}/{device.label}")]
    if not found:
        raise wrong(f"There is no device {name}; there are: {_names(known) or 'none'}.")
    if len(found) > 1:
        raise wrong(f"Several hosts have a {name}. Name one of: {_names(found)}.")
    return found


def _names(devices: list[Device]) -> str:
    return ", ".join(f"{device.host}/{device.label}" for device in devices)


def _described(device: Device, job) -> dict:
    use = devices.gpu_use(device)
    facts = {"device": f"{device.host}/{device.label}", "on": device.enabled, "model": device.model_name}
    facts |= {"engines": device.engine_reports, "memory": device.memory, "use_percent": use.percent if use else None}
    held = {"id": device.leased_to, "name": job.name if job else "", "status": job.status if job else ""}
    return facts | {"memory_used": use.memory_used if use else None, "held_by": held if device.leased_to else None}


def _engines(facts: dict) -> str:
    usable = [report for report in facts["engines"].values() if not report["obstacle"]]
    return ", ".join(f"{report['title']} {report['version']}" for report in usable) or "no engine"


def _shown(facts: dict) -> str:
    held, use = facts["held_by"], ""
    if facts["use_percent"] is not None:
        use = f"{facts['use_percent']} %, {facts['memory_used'] / GIB:.1f} of {facts['memory'] / GIB:.1f} GiB  "
    return use + (f"held by {held['name']} ({held['id']}, {held['status']})" if held else "free")
