"""Link two libraries that MXNet needs and the system lacks to the copies in other wheels.

libmxnet.so loads libgomp.so.1 and libquadmath.so.0 and searches its own folder first ($ORIGIN). scikit-learn and NumPy
ship both under other names, so a link in that folder is enough: no package to install, no LD_LIBRARY_PATH.
`python requirements/link_libraries.py` creates the missing links and reports libraries that it can't find.
"""

import ctypes
import importlib.util
import sys
from pathlib import Path

BUNDLED = {"libgomp.so.1": "scikit_learn.libs/libgomp-*", "libquadmath.so.0": "numpy.libs/libquadmath-*"}
PACKAGES = {"libgomp.so.1": "libgomp1", "libquadmath.so.0": "libquadmath0", "libstdc++.so.6": "libstdc++6"}


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def link(library: str, mxnet: Path) -> bool:
    """Link another wheel's copy of `library` beside libmxnet.so; return whether there is a copy that loads."""
    pattern = BUNDLED.get(library)
    copy = next(mxnet.parent.glob(pattern), None) if pattern else None
    if copy is None or not loads(str(copy)):
        return False
    (mxnet / library).unlink(missing_ok=True)
    (mxnet / library).symlink_to(Path("..") / copy.relative_to(mxnet.parent))
    return True


def main() -> None:
    mxnet = Path(importlib.util.find_spec("mxnet").submodule_search_locations[0])
    missing = [library for library in PACKAGES if not loads(library) and not link(library, mxnet)]
    if missing:
        packages = " ".join(PACKAGES[library] for library in missing)
        print(f"Training will not work: MXNet needs {', '.join(missing)}. On Debian: apt-get install {packages}")
        sys.exit(1)


if __name__ == "__main__":
    main()
