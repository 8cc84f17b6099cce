#!/bin/sh
# Makes .venv, or brings it up to date, with everything in requirements/dev.txt. `make` runs this before every target;
# it does nothing, within milliseconds, when .venv was made from these very requirements.
#
# Needs Python 3.10, 3.11 or 3.12 and pip (neither Debian's python3-venv nor a compiler), or uv.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore

stamp=.venv/requirements.cksum # what .venv holds; absent while it is being changed
log=.venv/install.log
supported='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'
wanted=$(cat requirements/*.txt requirements/*.sh requirements/*.py | cksum)

up_to_date() {
    [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null
}

fail() {
    echo "$*" >&2
    exit 1
}

# Every python3.12, python3.11 … python on PATH that runs, as "MINOR PATH", newest name first. Pyenv's shims for
# versions that are not active exist and fail, so each is tried.
pythons() {
    for name in python3.12 python3.11 python3.10 python3 python; do
        (
            IFS=:
            for folder in $PATH; do
                [ -x "$folder/$name" ] || continue
                version=$("$folder/$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
                echo "$version $folder/$name"
            done
        )
    done
}

suitable() { pythons | grep -E '^3\.(10|11|12) ' | sort -s -t. -k2,2nr | cut -d' ' -f2-; }

has_modules() { # PYTHON MODULE...
    tried=$1
    shift
    for module; do "$tried" -c "import $module" 2>/dev/null || return 1; done
}

# Debian's Python without python3-venv can make an environment, but put no pip into it: any Python's pip can then.
make_environment() {
    suitable | while read -r python; do
        if has_modules "$python" venv ensurepip; then
            say_python "$python" && "$python" -m venv .venv >>$log 2>&1 && break
        elif has_modules "$python" venv && installer=$(some_pip); then
            say_python "$python" && "$python" -m venv --without-pip .venv >>$log 2>&1 || continue
            packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
            "$installer" -m pip install --quiet --no-user --target "$packages" pip >>$log 2>&1 && break
        fi
    done
    has_modules .venv/bin/python pip && return
    command -v uv >/dev/null || return 1
    echo "Making .venv with uv"
    uv venv --quiet --allow-existing --seed --python '>=3.10,<3.13' .venv >>$log 2>&1
}

some_pip() {
    pythons | cut -d' ' -f2- | while read -r candidate; do
        if has_modules "$candidate" pip; then echo "$candidate" && break; fi
    done | grep .
}

say_python() { echo "Making .venv with $1"; }

say_what_is_needed() {
    echo "DIGITS needs Python 3.10, 3.11 or 3.12 with pip, or uv. Found:"
    pythons | sort -u | sed 's/^\([^ ]*\) \(.*\)/    \2 (Python \1)/' | grep . || echo "    no Python that runs"
    [ -s $log ] && echo "What was tried, in $log:" && tail -5 $log | sed 's/^/    /'
    echo "On Debian or Ubuntu: apt-get install python3 python3-pip"
}

install_requirements() {
    echo "Installing the packages of requirements/dev.txt (up to 220 MB to download; half a minute to three)"
    rm -f .venv/installed
    {
        .venv/bin/python -m pip install --no-user --progress-bar off --only-binary :all: -r requirements/dev.txt 2>&1 &&
            touch .venv/installed # the pipe hides the exit status
    } | tee -a $log | sed -un 's/^ *Downloading \([^ ]* (.* MB)\).*/  \1/p; s/^Installing collected.*/  unpacking/p'
    [ -f .venv/installed ] && return
    grep -i error $log | tail -5 >&2
    fail "pip could not install the requirements; all it said is in $log. Run the same command again to go on."
}

up_to_date && exit
[ "$(uname -sm)" = "Linux x86_64" ] || fail "DIGITS runs on Linux x86-64: MXNet, PostgreSQL and Redis come as wheels for it only."
mkdir -p .venv
exec 9>.venv/lock
if command -v flock >/dev/null; then flock 9; fi # another make may be at it
up_to_date && exit
began=$(date +%s)
if ! { [ -f $stamp ] && has_modules .venv/bin/python pip && .venv/bin/python -c "$supported"; }; then
    find .venv -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} + # half made, or of another Python
    make_environment || fail "$(say_what_is_needed)"
fi
rm -f $stamp
install_requirements
.venv/bin/python requirements/link_libraries.py
echo "$wanted" >$stamp
echo "Done in $(($(date +%s) - began)) s"
