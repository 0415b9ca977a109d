#!/bin/sh
# Installs what make load measures with and beside, where it is missing: wrk and nginx. It
# does so if this runs as root on a system with apt-get, unless LOAD_INSTALL is no. Where
# something cannot be had, this says so and succeeds: cmd/load says what it does without.
set -eu

say() { echo "load: $*" >&2; }

missing=
command -v wrk >/dev/null || missing=wrk
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
[ -n "$missing" ] || exit 0
if [ "$(uname)" != Linux ] || [ "$(id -u)" != 0 ] || [ "${LOAD_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null; then
	say "not installed: $missing"
	exit 0
fi
say "installing the system's packages: $missing (LOAD_INSTALL=no keeps it from that)"
export DEBIAN_FRONTEND=noninteractive
# The server that comes with nginx is not to be started.
export RUNLEVEL=1
log=$(mktemp)
# shellcheck disable=SC2086 # words
if ! { apt-get install -y --no-install-recommends $missing ||
	{ apt-get update && apt-get install -y --no-install-recommends $missing; }; } >"$log" 2>&1; then
	say "apt-get failed: $(tail -n 1 "$log")"
fi
rm -f "$log"
