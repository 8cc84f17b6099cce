#!/bin/sh
# Makes .venv, or brings it up to date, with the packages of requirements/dev.txt. `make` runs this before every target;
# it takes milliseconds and does nothing if .venv was made from the same requirements.
#
#   sh requirements/make-venv.sh                        the newest suitable Python, in .venv
#   PYTHON_VERSION=3.10 sh requirements/make-venv.sh    Python 3.10, in .venv-3.10
#   sh requirements/make-venv.sh torch                  PyTorch, in .venv-torch, with the packages of torch-dev.txt
#
# An interrupted installation goes on with what was downloaded: uv and pip keep that in their caches.
# Needs Linux on x86-64 or aarch64, and uv, or Python 3.10 to 3.14 with pip (neither python3-venv nor a compiler).
set -eu
cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore

version=${PYTHON_VERSION:-}
case "${1:-}" in
    "") lock=dev.txt venv=.venv${version:+-$version} disk=1 sizes="up to 265 MB to download; half a minute to three" ;;
    torch) lock=torch-dev.txt venv=.venv-torch disk=7 sizes="up to 3 GB to download, 6 GB on disk; one minute to ten" ;;
    *) echo "make-venv.sh makes the environment torch, or without a name .venv; there is no $1" >&2 && exit 1 ;;
esac
stamp=$venv/requirements.cksum # checksum of the requirements in $venv; absent during an installation
wanted=$(cat "requirements/$lock" requirements/*.sh requirements/link_libraries.py | cksum)

fail() {
    echo "$*" >&2
    exit 1
}

case "$version" in
    "") minors="14 13 12 11 10" ;;
    3.1[0-4]) minors=${version#3.} ;;
    *) fail "PYTHON_VERSION is one of 3.10, 3.11, 3.12, 3.13 and 3.14, not $version" ;;
esac
suits="import sys; sys.exit(sys.version_info[0] != 3 or str(sys.version_info[1]) not in '$minors'.split())"

up_to_date() { [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; }

check_machine() {
    case "$(uname -sm)" in
        "Linux x86_64" | "Linux aarch64") ;;
        *) fail "DIGITS runs on Linux on x86-64 and aarch64; this is $(uname -sm). MXNet and PostgreSQL come as wheels for those." ;;
    esac
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail "DIGITS needs glibc 2.28 or later: MXNet has no wheel for musl (Alpine)."
    case "$libc" in
        "glibc 2."[0-9] | "glibc 2.1"* | "glibc 2.2"[0-7]*) fail "DIGITS needs glibc 2.28 or later; this machine has $libc." ;;
    esac
}

# Prints "VERSION PATH" for every python3.14, python3.13 … python on PATH that runs. Pyenv's shims for inactive versions
# exist but fail, so each program is tried.
pythons() {
    for name in python3.14 python3.13 python3.12 python3.11 python3.10 python3 python; do
        (
            IFS=:
            for folder in $PATH; do
                [ -x "$folder/$name" ] || continue
                found=$("$folder/$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
                echo "$found $folder/$name"
            done
        )
    done
}

# Prints the paths of the Pythons whose version is in $minors, newest first.
suitable() {
    pythons | while read -r found path; do
        if "$path" -c "$suits" 2>/dev/null; then echo "$found $path"; fi
    done | sort -s -t. -k2,2nr | cut -d' ' -f2-
}

has_modules() { # PYTHON MODULE...
    tried=$1
    shift
    for module; do "$tried" -c "import $module" 2>/dev/null || return 1; done
}

some_pip() {
    pythons | cut -d' ' -f2- | while read -r candidate; do
        if has_modules "$candidate" pip; then echo "$candidate" && break; fi
    done | grep .
}

# Makes $venv with uv if it is installed, else with the standard library and pip.
make_environment() {
    if command -v uv >/dev/null; then make_with_uv; else make_with_pip; fi
    "$venv/bin/python" -c "$suits" 2>/dev/null
}

make_with_uv() {
    python=$(suitable | head -1)
    [ -n "$python" ] || python=$([ -n "$version" ] && echo "$version" || echo '>=3.10,<3.15') # uv downloads it
    echo "Making $venv with uv and Python $python"
    uv venv --quiet --allow-existing --python "$python" "$venv" >>"$log" 2>&1 || true
}

# Debian's Python without python3-venv can make an environment, but can't install pip into it. The pip of any other
# Python can.
make_with_pip() {
    suitable | while read -r python; do
        if has_modules "$python" venv ensurepip; then
            echo "Making $venv with $python"
            "$python" -m venv "$venv" >>"$log" 2>&1 && break
        elif has_modules "$python" venv && installer=$(some_pip); then
            echo "Making $venv with $python"
            "$python" -m venv --without-pip "$venv" >>"$log" 2>&1 || continue
            packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
            "$installer" -m pip install --quiet --no-user --target "$packages" pip >>"$log" 2>&1 && break
        fi
        rm -rf "$venv/bin"
    done
    has_modules "$venv/bin/python" pip || rm -rf "$venv/bin"
}

say_what_is_needed() {
    echo "DIGITS needs uv, or Python ${version:-3.10 to 3.14} with pip. Found:"
    pythons | sort -u | sed 's/^\([^ ]*\) \(.*\)/    \2 (Python \1)/' | grep . || echo "    no Python that runs"
    if [ -s "$log" ]; then echo "What was tried:" && tail -5 "$log" | sed 's/^/    /'; fi
    echo "This helps here:  $(sh requirements/advice.sh "$([ -n "$(suitable)" ] && echo pip || echo python)" "$version")"
}

# Fails if the disk has less than $disk GB free; what $venv takes already counts as free, because it is replaced.
check_disk() {
    free=$(df -Pk . 2>/dev/null | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\).*/\1/p')
    taken=$(du -sk "$venv" 2>/dev/null | cut -f1)
    if [ -z "$free" ] || [ $((free + ${taken:-0})) -ge $((disk * 1000000)) ]; then return; fi
    fail "$venv needs $disk GB of disk, and $(pwd) has $((free / 1000000)) GB free. Make room, then run the same command again."
}

install_requirements() {
    echo "Installing the packages of requirements/$lock ($sizes)"
    rm -f "$venv/installed"
    options="--no-deps --require-hashes --only-binary :all: -r requirements/$lock"
    {
        # shellcheck disable=SC2086 # the words come from this script
        if command -v uv >/dev/null; then
            uv pip install --python "$venv/bin/python" $options 2>&1
        else
            "$venv/bin/python" -m pip install --no-user --progress-bar off $options 2>&1
        fi && touch "$venv/installed" # the pipe hides the exit status
    } | tee -a "$log" | sed -un 's/^ *Downloading \([^ ]* (.* MB)\).*/  \1/p; s/^Installing collected.*/  unpacking/p'
    [ -f "$venv/installed" ] && return
    cp "$log" "$venv/install.log"
    grep -i error "$log" | tail -5 >&2
    fail "The requirements could not be installed; all output is in $venv/install.log. Run the same command again to go on."
}

up_to_date && exit
check_machine
exec 9<requirements/make-venv.sh
if command -v flock >/dev/null; then flock 9; fi # another make can be running
up_to_date && exit
check_disk
began=$(date +%s)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { [ -f "$stamp" ] && "$venv/bin/python" -c "$suits" 2>/dev/null &&
    { command -v uv >/dev/null || has_modules "$venv/bin/python" pip; }; }; then
    rm -rf "$venv" # incomplete, or of another Python
    make_environment || {
        rm -rf "$venv"
        fail "$(say_what_is_needed)"
    }
fi
rm -f "$stamp"
install_requirements
[ "$lock" = torch-dev.txt ] || "$venv/bin/python" requirements/link_libraries.py
echo "$wanted" >"$stamp"
echo "Done in $(($(date +%s) - began)) s"
