#!/bin/sh
# Tests that the units which a package installs serve calls that a backend verifies, on a copy of this system
# that systemd is started on:
#
#   test-units.sh PACKAGE
#
# PACKAGE is a .deb. Where that cannot be tried, this says what is missing, and succeeds.
set -eu

package=$1
scripts=$(cd "$(dirname "$0")" && pwd)
skip() {
	echo "deploy: skipped the units: $*" >&2
	exit 0
}
for program in apt-get curl openssl jq setpriv useradd; do
	command -v $program >/dev/null || skip "$program is missing"
done
[ -x /lib/systemd/systemd ] || skip "systemd is missing"

result=$(mktemp -d)
trap 'rm -rf "$result"' EXIT
trap 'exit 130' INT TERM
cp "$package" "$scripts/prove-units.sh" "$scripts/../README.md" "$result"
code=0
sh "$scripts/copy.sh" "$result" sh "$scripts/boot-units.sh" "$result/prove-units.sh" "$result" || code=$?
[ $code != 77 ] || skip "there is no copy of this system"
cat "$result/said" 2>/dev/null || true
[ $code = 0 ] || {
	cat "$result/failure" "$result/trace" >&2 2>/dev/null || true
	echo "deploy: the units do not serve as they should; the exit code is $code" >&2
	exit 1
}
