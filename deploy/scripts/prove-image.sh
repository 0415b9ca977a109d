#!/bin/sh
# Proves that the image that deploy/Dockerfile builds serves, by the compose file and as the Kubernetes manifests
# have it, by the commands that are in ../README.md:
#
#   prove-image.sh PYTHON GO
#
# PYTHON is the folder of a virtual environment with ../requirements.txt, GO the command. This changes the
# system, and so runs on a copy of copy.sh's, in which no registry and nothing else can be reached: in place of
# the image with Go there is one with this system's Go, and with the modules that were fetched before.
set -eu

python=$1 go=$2
deploy=$(cd "$(dirname "$0")/.." && pwd)
scratch=/run/image
mkdir $scratch

# Podman keeps its layers in memory, and takes what a machine allows that has no systemd, and may not raise limits.
mkdir -p /var/lib/containers
mount -t tmpfs -o mode=700 containers /var/lib/containers
cat >$scratch/containers.conf <<'CONF'
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
CONF
export CONTAINERS_CONF=$scratch/containers.conf
export PATH="$python/bin:$PATH" PODMAN_COMPOSE_WARNING_LOGS=false

failed() {
	code=$?
	[ $code = 0 ] || {
		podman ps --all || true
		for container in $(podman ps --all --quiet); do podman logs "$container" || true; done
		[ ! -f $scratch/log ] || cat $scratch/log
	} >&2
	exit $code
}
trap failed EXIT

# quietly COMMAND... says something only if it fails. Podman tells of timers for health checks, which are
# systemd's, at each start.
quietly() { "$@" >$scratch/log 2>&1 || return; }

# until_is SECONDS COMMAND... waits until a command succeeds.
until_is() {
	end=$(($(date +%s) + $1))
	shift
	until "$@" >$scratch/log 2>&1; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.1
	done
}

# commands N prints the Nth block of commands in README.md.
commands() { awk -v n="$1" '/^```/ { if (open = !open) i++; next } open && i == n' "$deploy/README.md"; }

# agent prints which agent the backend has found a call to be of, in whose answer.
agent() { jq -er 'select(.scheme == "agent-assertion") | .agent_runtime_id'; }

# The image, from the Dockerfile as it is.
mkdir -p $scratch/go/bin $scratch/go/tmp $scratch/go/etc/ssl/certs
cp "$(command -v busybox)" $scratch/go/bin/busybox
for applet in sh mkdir cp; do ln -s busybox $scratch/go/bin/$applet; done
cp /etc/ssl/certs/ca-certificates.crt $scratch/go/etc/ssl/certs/
cat >$scratch/go/Containerfile <<'FILE'
FROM scratch
COPY bin /bin
COPY etc /etc
COPY tmp /tmp
ENV PATH=/usr/local/go/bin:/bin GOMODCACHE=/go/modules GOCACHE=/go/cache GOPROXY=off GOTOOLCHAIN=local
FILE
quietly podman build --isolation chroot --tag localhost/go $scratch/go
quietly podman build --isolation chroot --format docker --tag localhost/agentassert --build-arg GO_IMAGE=localhost/go \
	--volume "$($go env GOROOT):/usr/local/go:ro" --volume "$($go env GOMODCACHE):/go/modules" --volume "$($go env GOCACHE):/go/cache" \
	--file "$deploy/Dockerfile" "$deploy/.."
podman image inspect localhost/agentassert | jq -e '.[0] | .User == "65532:65532" and (.Healthcheck.Test | index("health"))' >/dev/null || {
	echo "deploy: the image has another user, or no health check" >&2
	exit 1
}
podman image inspect localhost/agentassert | jq -r '.[0] | "deploy: an image of \(.Size) bytes was built"'

# By the compose file, with Podman's in place of Docker's, and the image that there is.
cd "$deploy/.."
compose() { podman-compose --file "$deploy/compose.yaml" "$@"; }
commands 3 | sed 's/docker compose/podman-compose/; s/ --build / --no-build /; s/ --wait$//; s/ proxy | / proxy 2>\&1 | /' >$scratch/commands
sed -n 1p $scratch/commands >$scratch/first
quietly sh -eux $scratch/first
until_is 60 podman healthcheck run agentassert_proxy_1
called=$(sed 1d $scratch/commands | sh -e 2>$scratch/log | agent)
echo "deploy: a call through the compose file's proxy was verified as agent $called's"
test "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/codex/models)" = 401
podman inspect agentassert_proxy_1 | jq -e '.[0] | .HostConfig.ReadonlyRootfs and (.EffectiveCaps | length == 0)' >/dev/null

# As the Kubernetes manifests have it: with the arguments, user and mounts that they say, and with files as
# kubelet makes them of the secret, the superuser's and the group's. The secret cannot be written, the configuration is a
# kustomization's below which theirs is, as it is for everybody.
mkdir -p $scratch/kubernetes $scratch/secret $scratch/claim $scratch/configuration
cp -R "$deploy/kubernetes" $scratch/
cat >$scratch/kubernetes/kustomization.yaml <<'YAML'
resources: [base]
configMapGenerator:
  - name: agentassert-proxy
    behavior: merge
    files: [proxy.yaml]
images:
  - {name: agentassert, newName: localhost/agentassert, newTag: latest}
YAML
sed 's|^upstream: .*|upstream: http://authority:8080/backend-api\nallow-http: true\ntrust-host: [authority]|' \
	"$deploy/kubernetes/base/proxy.yaml" >$scratch/kubernetes/proxy.yaml
kubectl kustomize $scratch/kubernetes >$scratch/manifest.yaml
"$python/bin/python" -c 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)' <$scratch/manifest.yaml >$scratch/manifest.json
of() { jq -er --arg kind "$1" ".[] | select(.kind == \$kind) | $2" $scratch/manifest.json; }
container='.spec.template.spec.containers[0]'
mounted() { of Deployment "$container.volumeMounts[] | select(.name == \"$1\") | .mountPath"; }

of ConfigMap '.data["proxy.yaml"]' >$scratch/configuration/proxy.yaml
group=$(of Deployment .spec.template.spec.securityContext.fsGroup)
cd $scratch
cp "$(podman volume inspect --format '{{.Mountpoint}}' agentassert_sign-in)/auth.json" .
# The last command is for a cluster.
commands 4 | sed '$d; s/kubectl create .*/& --dry-run=client --output json/' | sh -e >$scratch/secret.json
for file in $(jq -r '.data | keys[]' $scratch/secret.json); do
	jq -r --arg file "$file" '.data[$file]' $scratch/secret.json | base64 -d >"$scratch/secret/$file"
done
chown -R "0:$group" $scratch/secret $scratch/claim
chmod 440 $scratch/secret/*
chmod 2775 $scratch/claim

start() {
	# shellcheck disable=SC2046 # arguments
	quietly podman run --detach --replace --name pod --network agentassert_default --publish 127.0.0.1:9081:8081 --publish 127.0.0.1:9082:8082 \
		--user "$(of Deployment '.spec.template.spec.securityContext | "\(.runAsUser):\(.runAsGroup)"')" --group-add "$group" \
		--read-only --cap-drop all --security-opt no-new-privileges \
		--volume $scratch/configuration:"$(mounted configuration)":ro --volume $scratch/secret:"$(mounted sign-in)":ro \
		--volume $scratch/claim:"$(mounted state)" \
		"$(of Deployment "$container.image")" $(of Deployment "$container.args[]")
	ready=$(of Deployment "$container.readinessProbe.httpGet.path")
	until_is 60 curl -sS --fail "http://127.0.0.1:9082$ready"
	curl -sS --fail "http://127.0.0.1:9082$(of Deployment "$container.livenessProbe.httpGet.path")" >/dev/null
	sed 's/^/X-Agentassert-Token: /' $scratch/secret/token |
		curl -sS --fail-with-body --max-time 30 -H @- http://127.0.0.1:9081/codex/models | agent
}
first=$(start)
echo "deploy: a call through the Kubernetes manifests' proxy was verified as agent $first's"
test "$first" != "$called"
# Another pod, with the same claim, has the same identity.
test "$(start)" = "$first"
podman logs pod 2>&1 | jq -es 'length > 0' >/dev/null

quietly podman rm --force --time 5 pod
quietly compose down --volumes
