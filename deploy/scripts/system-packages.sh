#!/bin/sh
# Installs what the tests of units and image use, where it is missing: systemd, which they start on a copy of
# this system, and Podman. It does so if this runs as root on a system with apt-get, unless DEPLOY_INSTALL is
# no. Where something cannot be had, this says so and succeeds: the tests that need it are skipped.
set -eu

say() { echo "deploy: $*" >&2; }

missing=
for needed in systemd:systemd-analyze podman:podman crun:crun iptables:iptables busybox-static:busybox curl:curl openssl:openssl jq:jq iproute2:ip passwd:useradd; do
	command -v "${needed#*:}" >/dev/null || missing="$missing ${needed%:*}"
done
# Podman does without what resolves names and connects containers, until it is used.
if command -v apt-get >/dev/null; then
	[ -x /usr/lib/podman/netavark ] || missing="$missing netavark"
	[ -x /usr/lib/podman/aardvark-dns ] || missing="$missing aardvark-dns"
fi

[ -n "$missing" ] || exit 0
if [ "$(uname)" != Linux ] || [ "$(id -u)" != 0 ] || [ "${DEPLOY_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null; then
	say "not installed:$missing; the tests that need these are skipped"
	exit 0
fi
say "installing the system's packages:$missing (DEPLOY_INSTALL=no keeps it from that)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # words
if ! { apt-get install -y --no-install-recommends $missing ||
	{ apt-get update && apt-get install -y --no-install-recommends $missing; }; } >"$log" 2>&1; then
	say "apt-get failed: $(tail -n 1 "$log")"
fi
rm -f "$log"
