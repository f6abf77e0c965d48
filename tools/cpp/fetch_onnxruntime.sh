#!/usr/bin/env bash
# Puts onnxruntime's C headers and shared library into a folder that CMAKE_PREFIX_PATH can name.
#
#   tools/cpp/fetch_onnxruntime.sh FOLDER PYTHON        e.g.  build/onnxruntime .venv/bin/python
#
# The Python wheel brings the library and no headers; no package of PyPI was found that brings them. Debian 13's
# libonnxruntime-dev does (1.21), and the C API is versioned: what is built with these headers runs with any later
# library. On Debian, of any release, the package is fetched with apt-get, signatures checked, from the archive that the
# machine is set up for, into FOLDER alone: it needs no root and changes neither the system nor its package sources.
# Elsewhere: install onnxruntime's headers and library, or unpack a release of it, and give CMake that folder.
set -euo pipefail

readonly SUITE=trixie KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
[ $# -eq 2 ] || { echo "usage: $0 FOLDER PYTHON" >&2; exit 2; }
refuse() { echo "onnxruntime for the C++ example: $1" >&2; exit 1; }

mkdir -p "$1"
folder=$(cd "$1" && pwd)
library=$("$2" -c 'import pathlib, importlib.util as u
spec = u.find_spec("onnxruntime")
found = sorted(pathlib.Path(spec.origin).parent.glob("capi/libonnxruntime.so.*")) if spec else []
print(found[0] if found else "")') || refuse "$2 does not run"
[ -n "$library" ] || refuse "the onnxruntime of $2 has no capi/libonnxruntime.so.*, expected a newer wheel, for Linux"
mkdir -p "$folder/lib"
# The wheel names its library with the full version; the linker and the loader ask for these two names.
ln -sf "$library" "$folder/lib/libonnxruntime.so"
ln -sf "$library" "$folder/lib/libonnxruntime.so.1"
[ ! -e "$folder/include/onnxruntime/onnxruntime_c_api.h" ] || exit 0

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || refuse "no apt-get here, expected Debian"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
archive=$(apt-get update --print-uris 2>/dev/null | sed -n "s|^'\(.*\)/dists/$codename/InRelease'.*|\1|p" | head -n 1)
[ -n "$archive" ] && [ -r "$KEYS" ] || refuse "no Debian archive is set up here"

work=$(mktemp -d "$folder/apt.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
echo "deb [signed-by=$KEYS] $archive $SUITE main" >"$work/sources.list"
touch "$work/status"
apt() {
  apt-get --quiet=2 -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o Acquire::Languages=none -o APT::Sandbox::User="" "$@"
}
cd "$work"
apt -o APT::Update::Error-Mode=any update || refuse "the package list of $SUITE cannot be had"
apt download libonnxruntime-dev >&2 || refuse "libonnxruntime-dev of $SUITE cannot be had"
dpkg-deb --extract libonnxruntime-dev_*.deb unpacked
mkdir -p "$folder/include"
# Last of all, in one step: a folder with headers is a whole one.
mv unpacked/usr/include/onnxruntime "$folder/include/onnxruntime"
