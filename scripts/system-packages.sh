#!/bin/sh
# Installs packages of the system's for a part of this project, if it runs as root on a system with
# apt-get, unless SYSTEM_PACKAGES is no. Where they cannot be had it says so and succeeds: whoever
# uses them looks whether they are there, and says what is skipped without.
#
#   system-packages.sh PART PACKAGE...
set -eu

part=$1
shift
say() { echo "$part: $*" >&2; }

[ $# -gt 0 ] || exit 0
if [ "$(uname)" != Linux ] || [ "$(id -u)" != 0 ] || [ "${SYSTEM_PACKAGES:-yes}" = no ] || ! command -v apt-get >/dev/null; then
	say "not installed: $*; what needs these is skipped"
	exit 0
fi
say "installing the system's packages: $* (SYSTEM_PACKAGES=no keeps it from that)"
export DEBIAN_FRONTEND=noninteractive
# The servers among them are not to be started.
export RUNLEVEL=1
get() { apt-get install -y --no-install-recommends "$@"; }
log=$(mktemp)
if ! { get "$@" || { apt-get update && get "$@"; }; } >"$log" 2>&1; then
	say "apt-get failed: $(tail -n 1 "$log")"
fi
rm -f "$log"
