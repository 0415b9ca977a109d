#!/bin/sh
# Installs what the tests of units and image use, where it is missing: systemd, which they start on a copy of
# this system, and Podman. The tests of what cannot be had are skipped.
set -eu

missing=
for needed in systemd:systemd-analyze podman:podman crun:crun iptables:iptables busybox-static:busybox curl:curl openssl:openssl jq:jq iproute2:ip passwd:useradd; do
	command -v "${needed#*:}" >/dev/null || missing="$missing ${needed%:*}"
done
# Podman does without what resolves names and connects containers, until it is used.
if command -v apt-get >/dev/null; then
	[ -x /usr/lib/podman/netavark ] || missing="$missing netavark"
	[ -x /usr/lib/podman/aardvark-dns ] || missing="$missing aardvark-dns"
fi

# shellcheck disable=SC2086 # words
exec sh "$(dirname "$0")/../../scripts/system-packages.sh" deploy $missing
