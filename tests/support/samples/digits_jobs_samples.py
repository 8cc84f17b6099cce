"""Job folders with a status.pickle as DIGITS wrote it: an object of a class of DIGITS's, with its tasks."""

import pickle
import sys
import types


def write_job(folder, dotted, protocol=0, tasks=(), **attributes):
    """The folder of a job of the class `dotted`; tasks are the attributes of one that looks at a database."""
    looks = [_made("digits.dataset.tasks.analyze_db.AnalyzeDbTask", **task) for task in tasks]
    folder.mkdir(parents=True)
    (folder / "status.pickle").write_bytes(pickle.dumps(_made(dotted, **attributes, tasks=looks), protocol))
    for name in [name for name in sys.modules if name == "digits" or name.startswith("digits.")]:
        del sys.modules[name]
    return folder


def _made(dotted, **attributes):
    """An object of that class, which pickle finds as if DIGITS were installed."""
    module, _, name = dotted.rpartition(".")
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    if not hasattr(sys.modules[module], name):
        setattr(sys.modules[module], name, type(name, (), {"__module__": module}))
    one = getattr(sys.modules[module], name)()
    vars(one).update(attributes)
    return one
