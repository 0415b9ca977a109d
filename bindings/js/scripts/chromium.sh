#!/bin/sh
# Installs Chromium, for tests, where there is none: the system's package, and a font,
# without which it ends at once. The tests that need one that cannot be had are skipped.
set -eu

[ -z "${AGENTASSERT_CHROMIUM:-}" ] || exit 0
for name in chromium chromium-browser google-chrome google-chrome-stable; do
	if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(uname)" != Linux ]; then exit 0; fi # elsewhere it is an app, which the tests look for
exec sh "$(dirname "$0")/../../../scripts/system-packages.sh" "chromium (AGENTASSERT_CHROMIUM can say where one is)" chromium fonts-dejavu-core
