#!/bin/sh
# Installs Chromium, for tests, where there is none: the system's package, and a font,
# without which it ends at once. It does so if this runs as root on a system with
# apt-get, unless CHROMIUM_INSTALL is no. Where it cannot be had, this says so and
# succeeds: the tests that need it are skipped.
set -eu

say() { echo "chromium: $*" >&2; }

[ -z "${AGENTASSERT_CHROMIUM:-}" ] || exit 0
for name in chromium chromium-browser google-chrome google-chrome-stable; do
	if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(uname)" != Linux ]; then exit 0; fi # elsewhere it is an app, which the tests look for
if [ "$(id -u)" != 0 ] || [ "${CHROMIUM_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null; then
	say "there is none; the tests that need it are skipped. AGENTASSERT_CHROMIUM can say where it is"
	exit 0
fi
say "installing the system's package (CHROMIUM_INSTALL=no keeps it from that)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get install -y --no-install-recommends chromium fonts-dejavu-core ||
	{ apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; }; } >"$log" 2>&1; then
	say "apt-get failed: $(tail -n 1 "$log")"
fi
rm -f "$log"
