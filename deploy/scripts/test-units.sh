#!/bin/sh
# Tests that the units which a package installs serve calls that a backend verifies, on a copy of this system
# that systemd is started on:
#
#   test-units.sh GO FOLDER
#
# GO is the command, with which the package is made, in FOLDER. Where that cannot be tried, this says what is
# missing, and succeeds.
set -eu

go=$1 packages=$2
scripts=$(cd "$(dirname "$0")" && pwd)
skip() {
	echo "deploy: skipped the units: $*" >&2
	exit 0
}
for program in apt-get curl openssl jq setpriv useradd; do
	command -v $program >/dev/null || skip "$program is missing"
done
[ -x /lib/systemd/systemd ] || skip "systemd is missing"
[ "$(id -u)" = 0 ] || skip "this does not run as root"
case $($go env GOARCH) in
amd64 | arm64) ;;
*) skip "there are no packages for this machine" ;;
esac

result=$(mktemp -d)
trap 'rm -rf "$result"' EXIT
trap 'exit 130' INT TERM
(cd "$scripts/../.." && $go run ./cmd/dist -languages=false -platforms "linux/$($go env GOARCH)" -out "$packages") >"$result/dist" 2>&1 || {
	cat "$result/dist" >&2
	exit 1
}
cp "$packages"/*.deb "$scripts/prove-units.sh" "$scripts/../README.md" "$result"
code=0
sh "$scripts/copy.sh" "$result" sh "$scripts/boot-units.sh" "$result/prove-units.sh" "$result" || code=$?
[ $code != 77 ] || skip "there is no copy of this system"
cat "$result/said" 2>/dev/null || true
[ $code = 0 ] || {
	cat "$result/failure" "$result/trace" >&2 2>/dev/null || true
	echo "deploy: the units do not serve as they should; the exit code is $code" >&2
	exit 1
}
