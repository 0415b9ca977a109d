#!/bin/sh
# Installs what make load measures with and beside, where it is missing: wrk and nginx.
# cmd/load says what it does without.
set -eu

missing=
command -v wrk >/dev/null || missing=wrk
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
# shellcheck disable=SC2086 # words
exec sh "$(dirname "$0")/../../scripts/system-packages.sh" load $missing
