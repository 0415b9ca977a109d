#!/bin/sh
# Tests that the image, the compose file and the Kubernetes manifests serve calls that a backend verifies, on a
# copy of this system, without a Docker engine or a cluster:
#
#   test-image.sh PYTHON GO
#
# PYTHON is the folder of a virtual environment with ../requirements.txt, or "" where there is none, GO the
# command. Where that cannot be tried, this says what is missing, and succeeds.
set -eu

python=$1 go=$2
scripts=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$scripts/../.." && pwd)
skip() {
	echo "deploy: skipped the image: $*" >&2
	exit 0
}
[ "$(id -u)" = 0 ] || skip "this does not run as root"
[ -n "$python" ] || skip "Python 3.10 or later, with venv, is missing"
for program in podman busybox curl openssl jq kubectl; do
	command -v $program >/dev/null || skip "$program is missing"
done

if ldd "$(command -v busybox)" >/dev/null 2>&1; then skip "busybox is not linked statically"; fi

# What is compiled there cannot be fetched there.
(cd "$repository/cmd" && GOWORK=off $go mod download)
code=0
sh "$scripts/copy.sh" "$repository $($go env GOROOT) $($go env GOMODCACHE) $($go env GOCACHE)" \
	env HOME=/root sh "$scripts/prove-image.sh" "$(cd "$python" && pwd)" "$(command -v "$go")" || code=$?
[ $code != 77 ] || skip "there is no copy of this system"
exit $code
