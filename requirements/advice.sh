#!/bin/sh
# Prints the command that installs what make-venv.sh lacks on this distribution.
#   sh requirements/advice.sh python [VERSION]    there is no suitable Python
#   sh requirements/advice.sh pip                 there is a suitable Python, but no pip
# It does not suggest an installed package: the package python3 is suggested only where there is no python3.
set -eu
os_release=${OS_RELEASE:-/etc/os-release}
missing=$1
version=${2:-}

ID=unknown ID_LIKE='' VERSION_ID=''
# shellcheck disable=SC1090
[ ! -r "$os_release" ] || . "$os_release"

case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*) family=debian ;;
    *" fedora "* | *" rhel "* | *" centos "*) family=fedora ;;
    *" suse "* | *" opensuse "*) family=suse ;;
    *" arch "*) family=arch ;;
    *) family=other ;;
esac

# Succeeds if the distribution's package python3 is not installed and is a Python from 3.10 to 3.14.
own_python_helps() {
    ! command -v python3 >/dev/null && [ -z "$version" ] || return 1
    case "$ID-$VERSION_ID" in
        debian-1[23]* | ubuntu-2[2-6]* | linuxmint-2[12]* | fedora-* | opensuse-tumbleweed-*) ;;
        *) false ;;
    esac
}

with_uv() {
    case "$family" in
        fedora) [ "$ID" = fedora ] && echo "dnf install uv" || echo "dnf install python3.12 python3.12-pip" ;;
        suse) echo "zypper install python311 python311-pip" ;;
        arch) echo "pacman -S uv" ;;
        debian) echo "apt-get install pipx && pipx install uv && export PATH=\"\$PATH:\$HOME/.local/bin\"" ;;
        *) echo "install uv as https://docs.astral.sh/uv/ says; it brings its own Python" ;;
    esac
}

if [ "$missing" = pip ] || own_python_helps; then
    case "$family" in
        debian) echo "apt-get install python3 python3-venv" ;;
        fedora) echo "dnf install python3 python3-pip" ;;
        suse) echo "zypper install python3 python3-pip" ;;
        arch) echo "pacman -S python-pip" ;;
        *) with_uv ;;
    esac
else
    with_uv
fi
