#!/bin/sh
# Proves that the proxy's units serve, on a system that boot-units.sh has started, by the commands that are in
# ../README.md:
#
#   prove-units.sh FOLDER
#
# FOLDER has the package and README.md. Standard output says what is proved; where that fails, the file failure
# in FOLDER has what the system says of it.
set -eux
folder=$1

failed() {
	code=$?
	trap - EXIT
	set +x
	[ $code = 0 ] && exit 0
	{
		systemctl --no-pager status 'agentassert-*' backend person || true
		journalctl --no-pager --lines 200 || true
		cat /run/backend/requests.jsonl || true
	} >"$folder/failure" 2>&1
	exit $code
}
trap failed EXIT

# until_is SECONDS COMMAND... waits until a command succeeds.
until_is() {
	end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.1
	done
}

# call TOKENFILE PATH [ARGUMENTS...] prints what the backend answers to a call through the proxy.
call() {
	token=$1 path=$2
	shift 2
	sed 's/^/X-Agentassert-Token: /' "$token" | curl -sS --fail-with-body --max-time 30 -H @- "$@" "http://127.0.0.1:8081$path"
}

# agent OF_AN_ANSWER prints which agent the backend has found a call to be of.
agent() { echo "$1" | jq -er 'select(.scheme == "agent-assertion") | .agent_runtime_id'; }

# commands N prints the Nth block of commands in README.md.
commands() { awk -v n="$1" '/^```/ { if (open = !open) i++; next } open && i == n' "$folder/README.md"; }

# The package; a backend, and somebody who is signed in there, in place of the public one.
cd "$folder"
commands 1 >/run/commands
sed -n 1p /run/commands | DEBIAN_FRONTEND=noninteractive sh -eux >&2
mkdir /run/backend
cat >/run/systemd/system/backend.service <<'UNIT'
[Service]
ExecStart=/usr/bin/agentassert authority --listen 127.0.0.1:8080 --log /run/backend/requests.jsonl --auth-file-out /run/backend/auth.json --addr-file /run/backend/address
UNIT
mkdir /run/systemd/system/agentassert-proxy.service.d
cat >/run/systemd/system/agentassert-proxy.service.d/backend.conf <<'UNIT'
[Service]
Environment=AGENTASSERT_UPSTREAM=http://127.0.0.1:8080/backend-api AGENTASSERT_TRUST_HOST=127.0.0.1
UNIT
systemctl daemon-reload
systemctl start backend
until_is 20 test -s /run/backend/address
cp /run/backend/auth.json .

# The machine's service. The last command calls, and so starts it.
sed '1d; $d' /run/commands >/run/commands-between
sh -eux /run/commands-between >&2
test "$(systemctl is-active agentassert-proxy.service)" = inactive
agent=$(agent "$(tail -n 1 /run/commands | sh -eux)")
test "$(systemctl is-active agentassert-proxy.service)" = active
echo "deploy: a call through the units was verified as agent $agent's"

# What is not a caller's, and who is not one.
test "$(curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/codex/models)" = 401
curl -sS --fail http://127.0.0.1:8082/healthz >&2
curl -sS --fail http://127.0.0.1:8082/readyz >&2
curl -sS --fail http://127.0.0.1:8082/metrics | grep -q '^agentassert_proxy_requests_total'
agentassert health --operations-listen 127.0.0.1:8082
agentassert health --operations-listen localhost:8082

# What the unit takes from it, the process does not have.
pid=$(systemctl show --property MainPID --value agentassert-proxy)
grep -qx 'NoNewPrivs:	1' "/proc/$pid/status"
grep -qx 'Seccomp:	2' "/proc/$pid/status"
grep -qx 'CapBnd:	0000000000000000' "/proc/$pid/status"
grep -q "^Uid:	$(id -u agentassert)	" "/proc/$pid/status"
test "$(stat -c %U:%a /var/lib/agentassert/auth.json)" = agentassert:600
journalctl --no-pager --unit agentassert-proxy >/run/journal
for word in "compilation cache" "$(cat /etc/agentassert/token)"; do
	if grep -F "$word" /run/journal; then exit 1; fi
done
# The core was compiled, and is not interpreted.
test -n "$(ls /var/cache/agentassert)"

# A reload takes what has changed, or leaves what there was; the process stays the same.
reloaded() { curl -sS http://127.0.0.1:8082/metrics | grep -qx "agentassert_config_last_reload_successful $1"; }
cp /etc/agentassert/proxy.yaml /run/proxy.yaml
echo 'logg-level: debug' >>/etc/agentassert/proxy.yaml
systemctl reload agentassert-proxy
until_is 20 reloaded 0
test "$(agent "$(call /etc/agentassert/token /codex/models)")" = "$agent"
sed 's/^# log-level: .*/log-level: debug/' /run/proxy.yaml >/etc/agentassert/proxy.yaml
systemctl reload agentassert-proxy
until_is 20 reloaded 1
test "$(systemctl show --property MainPID --value agentassert-proxy)" = "$pid"
test "$(systemctl is-active agentassert-proxy)" = active
test "$(agent "$(call /etc/agentassert/token /codex/models)")" = "$agent"

# A token and a process that are new; what is registered stays.
(umask 077 && openssl rand -hex 32 >/etc/agentassert/token)
systemctl restart agentassert-proxy
test "$(agent "$(call /etc/agentassert/token /codex/models)")" = "$agent"

# While it starts again after a crash, callers wait.
systemctl kill --signal KILL agentassert-proxy
test "$(agent "$(call /etc/agentassert/token /codex/models)")" = "$agent"

# It ends when it is told to, and well.
systemctl stop agentassert-proxy.service
test "$(systemctl show --property Result --value agentassert-proxy)" = success
systemctl stop agentassert-proxy.socket agentassert-proxy-operations.socket

# A person's own, with the person's own manager and sign-in.
useradd --create-home --shell /bin/sh person
install -d -m 700 -o person -g person /home/person/.codex
install -m 600 -o person -g person /run/backend/auth.json /home/person/.codex/auth.json
cat >/run/systemd/system/person.service <<'UNIT'
[Service]
User=person
RuntimeDirectory=person
RuntimeDirectoryMode=0700
Environment=XDG_RUNTIME_DIR=/run/person HOME=/home/person
WorkingDirectory=/home/person
Delegate=yes
KillMode=mixed
Type=notify
ExecStart=/lib/systemd/systemd --user
UNIT
systemctl daemon-reload
systemctl start person
as_person() { setpriv --reuid person --regid person --init-groups env -C /home/person HOME=/home/person XDG_RUNTIME_DIR=/run/person "$@"; }
as_person mkdir -p /home/person/.config/systemd/user/agentassert-proxy.service.d
as_person tee /home/person/.config/systemd/user/agentassert-proxy.service.d/backend.conf >/dev/null <<'UNIT'
[Service]
Environment=AGENTASSERT_UPSTREAM=http://127.0.0.1:8080/backend-api AGENTASSERT_TRUST_HOST=127.0.0.1
UNIT
as_person systemctl --user daemon-reload
commands 2 >/run/commands
person=$(agent "$(as_person sh -eux /run/commands)")
test "$person" != "$agent"
as_person agentassert health --operations-listen unix:/run/person/agentassert/operations.sock
as_person systemctl --user stop agentassert-proxy
test ! -e /run/person/agentassert
echo "deploy: a call through the user's unit was verified as agent $person's"

# The backend knows two agents, and has refused nobody.
jq -es 'map(select(.path == "/backend-api/codex/models")) | length == 6 and all(.[]; .verified and .status == 200)' /run/backend/requests.jsonl >&2
