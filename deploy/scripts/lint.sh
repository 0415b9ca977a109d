#!/bin/sh
# Checks the files for deployment, without a cluster, an engine or systemd running:
#
#   lint.sh PYTHON GO
#
# PYTHON is the folder of a virtual environment with ../requirements.txt, or "" where there is none; GO is
# the command. What needs a program that is missing is skipped, and that is said.
set -eu

python=$1 go=$2
deploy=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

say() { echo "deploy: $*" >&2; }

# Exposure is from 0 to 10; systemd's threshold is ten times that.
lint_systemd() {
	if ! command -v systemd-analyze >/dev/null; then
		say "skipped systemd's units: systemd-analyze is missing"
		return
	fi
	# Where a package puts them, beside the targets that they name.
	root=$scratch/root
	mkdir -p "$root/usr/bin" "$root/bin" "$root/etc/systemd/system"
	for program in usr/bin/agentassert bin/kill; do
		printf '#!/bin/sh\n' >"$root/$program"
		chmod +x "$root/$program"
	done
	for units in /usr/lib/systemd /lib/systemd; do
		if [ -d "$units/system" ]; then mkdir -p "$root$units" && cp -R "$units/system" "$root$units"; fi
	done
	cp "$deploy"/systemd/*.service "$deploy"/systemd/*.socket "$root/etc/systemd/system"
	# What it finds is not always an error to it.
	for unit in "$deploy"/systemd/*.service "$deploy"/systemd/*.socket; do
		systemd-analyze verify --man=no --root="$root" "$(basename "$unit")" 2>>"$scratch/units" || echo "$unit" >>"$scratch/units"
	done
	cp "$deploy"/systemd/user/*.service "$root/etc/systemd/system"
	systemd-analyze verify --man=no --root="$root" agentassert-proxy.service 2>>"$scratch/units" || echo "user/agentassert-proxy.service" >>"$scratch/units"
	if [ -s "$scratch/units" ]; then
		cat "$scratch/units" >&2
		exit 1
	fi
	systemd-analyze security --no-pager --offline=yes --threshold=20 "$deploy/systemd/agentassert-proxy.service" >"$scratch/security" || {
		cat "$scratch/security" >&2
		say "agentassert-proxy.service is exposed to more than 2.0"
		exit 1
	}
	sed -n 's/^→ //p' "$scratch/security"
}

lint_kubernetes() {
	if ! command -v kubectl >/dev/null; then
		say "skipped the Kubernetes manifests: kubectl is missing"
		return
	fi
	for kustomization in base fleet; do
		manifest=$scratch/$kustomization.yaml
		kubectl kustomize "$deploy/kubernetes/$kustomization" >"$manifest"
		if [ -n "$python" ]; then
			"$python/bin/kubernetes-validate" --quiet --strict "$manifest"
			"$python/bin/kubernetes-validate" --quiet --strict --kubernetes-version 1.30.0 "$manifest"
		fi
		# An image that was built on the machine cannot be pulled. One pod, with a volume, is what base is.
		$go run github.com/zegl/kube-score/cmd/kube-score@v1.20.0 score --exit-one-on-warning --output-format ci \
			--ignore-test container-image-pull-policy,deployment-replicas,deployment-strategy "$manifest" >"$scratch/score" || {
			grep -E "^\[(WARNING|CRITICAL)" "$scratch/score" >&2
			exit 1
		}
	done
}

lint_systemd
lint_kubernetes
if [ -n "$python" ]; then
	"$python/bin/hadolint" "$deploy/Dockerfile"
	"$python/bin/check-jsonschema" --builtin-schema vendor.compose-spec "$deploy/compose.yaml" >"$scratch/compose" || {
		cat "$scratch/compose" >&2
		exit 1
	}
else
	say "skipped the Dockerfile, the compose file and the schemas of Kubernetes: what checks them comes by Python 3.10 or later, with venv"
fi
