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

# As the Kubernetes manifests have it: with the arguments, variables, user and mounts that they say, and with
# files as kubelet makes them of the secret, the superuser's and the group's. The configuration is a
# kustomization's below which theirs is, as it is for everybody; there is a backend of one's own in it.
backend=$(podman inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' agentassert_authority_1)
cd $scratch
cp "$(podman volume inspect --format '{{.Mountpoint}}' agentassert_sign-in)/auth.json" .

# render NAME puts together what one of the kustomizations comes to.
render() {
	rm -rf kubernetes configuration
	cp -R "$deploy/kubernetes" .
	mkdir configuration
	cat >kubernetes/kustomization.yaml <<-YAML
		resources: [$1]
		configMapGenerator:
		  - {name: agentassert-proxy, behavior: merge, files: [proxy.yaml]}
		images:
		  - {name: agentassert, newName: localhost/agentassert, newTag: latest}
	YAML
	sed "s|^upstream: .*|upstream: http://$backend:8080/backend-api\nallow-http: true\ntrust-host: [$backend]|" \
		"$deploy/kubernetes/$1/proxy.yaml" >kubernetes/proxy.yaml
	kubectl kustomize kubernetes >manifest.yaml
	"$python/bin/python" -c 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)' <manifest.yaml >manifest.json
	of ConfigMap '.data["proxy.yaml"]' >configuration/proxy.yaml
	group=$(of Deployment $pod.securityContext.fsGroup)
}
of() { jq -er --arg kind "$1" ".[] | select(.kind == \$kind) | $2" manifest.json; }
pod=.spec.template.spec
container="$pod.containers[0]"

# secret makes the files of what "kubectl create secret", on standard input, has made.
secret() {
	sh -e >secret.json
	rm -rf secret
	mkdir secret
	for file in $(jq -r '.data | keys[]' secret.json); do
		jq -r --arg file "$file" '.data[$file]' secret.json | base64 -d >"secret/$file"
	done
	chown -R "0:$group" secret
	chmod 440 secret/*
}

# start starts a pod, in place of the last one, and prints whose call goes through it.
start() {
	set -- --user "$(of Deployment "$pod.securityContext | \"\(.runAsUser):\(.runAsGroup)\"")" --group-add "$group"
	for volume in $(of Deployment "$container.volumeMounts[] | \"\(.name):\(.mountPath)\(if .readOnly then \":ro\" else \"\" end)\""); do
		set -- "$@" --volume "$scratch/$(echo "$volume" | sed 's/^sign-in:/secret:/')"
	done
	for variable in $(of Deployment "$container.env[]? | \"\(.name)=\(.valueFrom.secretKeyRef.key)\"" || true); do
		set -- "$@" --env "${variable%%=*}=$(cat "secret/${variable#*=}")"
	done
	# shellcheck disable=SC2046 # arguments
	quietly podman run --detach --replace --name pod --network host --read-only --cap-drop all --security-opt no-new-privileges "$@" \
		"$(of Deployment "$container.image")" $(of Deployment "$container.args[]")
	until_is 60 curl -sS --fail "http://127.0.0.1:8082$(of Deployment "$container.readinessProbe.httpGet.path")"
	curl -sS --fail "http://127.0.0.1:8082$(of Deployment "$container.livenessProbe.httpGet.path")" >/dev/null
	sed 's/^/X-Agentassert-Token: /' secret/token |
		curl -sS --fail-with-body --max-time 30 -H @- http://127.0.0.1:8081/codex/models | agent
}

# The compose file's has the same address.
quietly podman rm --force --time 5 agentassert_proxy_1
render base
commands 4 | grep -v 'kubectl apply' | sed 's/kubectl create .*/& --dry-run=client --output json/' | secret
mkdir state
chown "0:$group" state
chmod 2775 state
first=$(start)
echo "deploy: a call through the proxy of kubernetes/base was verified as agent $first's"
test "$first" != "$called"
# Another pod, with the same claim, has the same identity.
test "$(start)" = "$first"
podman logs pod 2>&1 | jq -es 'length > 0' >/dev/null

# With PostgreSQL, where this system has it, and no volume.
server() { SYSTEM_PACKAGES=no quietly sh "$deploy/../host/pgstore/testserver.sh" "$1" $scratch/postgres; }
server start
if [ -f postgres/dsn ]; then
	render fleet
	tr -d '\n' <postgres/dsn >store
	commands 5 >of-fleet
	grep -v 'agentassert store\|kubectl apply' of-fleet | sed 's/kubectl create .*/& --dry-run=client --output json/' | secret
	# Where there is no engine, the tool is the image's all the same.
	grep 'agentassert store' of-fleet >migrate
	quietly env PATH="$(podman image mount localhost/agentassert)/usr/bin:$PATH" sh -e migrate
	first=$(start)
	echo "deploy: a call through the proxy of kubernetes/fleet was verified as agent $first's"
	test "$(start)" = "$first"
	server stop
else
	echo "deploy: skipped kubernetes/fleet: PostgreSQL is missing" >&2
fi

quietly podman rm --force --time 5 pod
quietly compose down --volumes
