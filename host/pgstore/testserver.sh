#!/bin/sh
# A PostgreSQL server for tests: the system's package, on loopback, with a
# password, and thrown away afterwards.
#
#   testserver.sh start DIR     starts one, and writes how to connect to DIR/dsn
#   testserver.sh restart DIR   ends it as a crash would, and starts it again
#   testserver.sh stop DIR      stops it, and removes DIR
#
# Where PostgreSQL is missing, start installs it if it can, unless SYSTEM_PACKAGES
# is no. Where it cannot be had, start says so, succeeds, and leaves no DIR/dsn. It
# is an error only if there is a PostgreSQL and it does not start. POSTGRES_OPTIONS are more of the server's own
# options. PgBouncer, which some tests start themselves, is
# looked for and installed in the same way.
set -eu

say() { echo "postgres: $*" >&2; }

# find_bin prints the folder of pg_ctl and initdb, which Debian keeps out of PATH.
find_bin() {
	if pg_ctl=$(command -v pg_ctl) && command -v initdb >/dev/null; then
		dirname "$pg_ctl"
		return
	fi
	for folder in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/pgsql-*/bin; do
		if [ -x "$folder/pg_ctl" ] && [ -x "$folder/initdb" ]; then echo "$folder"; fi
	done | sort -V | tail -n 1
}

has_pooler() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; }

# install PACKAGE... installs these, where that is possible.
install() {
	sh "$(dirname "$0")/../../scripts/system-packages.sh" postgres "$@"
}

# as_server runs a command as the server's user: PostgreSQL refuses to run as root.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		# shellcheck disable=SC2016 # it is for the shell that su starts
		(cd / && exec su postgres -s /bin/sh -c 'exec "$0" "$@"' -- "$@")
	else
		"$@"
	fi
}

control() { as_server "$bin/pg_ctl" -D "$home/data" -l "$home/log" -w -s "$@" </dev/null; }

# known succeeds if DIR is of a server, and then sets where that is.
known() {
	[ -f "$dir/home" ] && home=$(cat "$dir/home") && bin=$(find_bin) && [ -n "$bin" ]
}

start() {
	if known && control status >/dev/null; then
		say "runs already: $dir/dsn"
		return
	fi
	stop
	mkdir -p "$dir"
	bin=$(find_bin)
	if [ -z "$bin" ]; then
		install postgresql
		bin=$(find_bin)
	fi
	if [ -n "$bin" ] && ! has_pooler; then
		install pgbouncer
		has_pooler || say "skipped what needs a pooler in front of PostgreSQL: PgBouncer is missing; install the package pgbouncer"
	fi
	if [ -z "$bin" ]; then
		say "skipped what needs a PostgreSQL server: initdb and pg_ctl are missing; install the package postgresql"
		return
	fi
	if [ "$(id -u)" != 0 ]; then
		home=$dir
	elif id postgres >/dev/null 2>&1; then
		# Where the server's user can get at it, wherever the project is.
		home=$(mktemp -d /tmp/agentassert-postgres.XXXXXX)
		chown postgres "$home"
	else
		say "skipped what needs a PostgreSQL server: it does not run as root, and there is no user postgres"
		return
	fi
	echo "$home" >"$dir/home"
	umask 077
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	[ -n "$password" ] || { echo "$0: no password could be made; is od installed?" >&2; exit 1; }
	echo "$password" | as_server tee "$home/password" >/dev/null
	as_server "$bin/initdb" -D "$home/data" -U agentassert -A scram-sha-256 --pwfile="$home/password" \
		-E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 || { say "initdb failed:"; cat "$dir/initdb.log" >&2; exit 1; }
	port=$(awk -v seed="$$" 'BEGIN { srand(seed); print 20000 + int(rand() * 12000) }')
	tries=0
	until control -o "-h 127.0.0.1 -p $port -k '' -c fsync=off -c shared_buffers=16MB ${POSTGRES_OPTIONS:-}" start >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ $tries = 20 ] || ! as_server grep -q 'could not create any TCP/IP sockets' "$home/log"; then
			say "the server did not start:"
			as_server tail -n 20 "$home/log" >&2
			exit 1
		fi
		as_server rm -f "$home/log"
		port=$((port + 1))
	done
	echo "postgres://agentassert:$password@127.0.0.1:$port/postgres?sslmode=disable" >"$dir/dsn"
}

restart() {
	known || { say "there is no server in $dir"; exit 1; }
	control -m immediate restart >/dev/null
}

stop() {
	if known; then
		if control status >/dev/null 2>&1; then control -m immediate stop >/dev/null; fi
		case $home in /tmp/agentassert-postgres.*) rm -rf "$home" ;; esac
	fi
	rm -rf "$dir"
}

[ $# = 2 ] || { echo "usage: $0 start|restart|stop DIR" >&2; exit 2; }
case $2 in /*) dir=$2 ;; *) dir=$PWD/$2 ;; esac
case $1 in
start | restart | stop) "$1" ;;
*) echo "usage: $0 start|restart|stop DIR" >&2; exit 2 ;;
esac
