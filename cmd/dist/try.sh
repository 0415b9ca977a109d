#!/bin/sh
# Tries a release as those do who get it: checks the checksums and their signature, unpacks the archive, installs
# and removes the deb and the rpm in folders of their own, has each command say what it is, and has lintian look
# at the debs. Nothing of this system is changed.
#
#   try.sh DIR [PUBLIC-KEY-FILE]
#
# What is missing for that is installed where it can be; what cannot be had is said, and its part is skipped.
set -eu

say() { echo "try: $*"; }
fail() { say "$*" >&2; exit 1; }

[ $# = 1 ] || [ $# = 2 ] || { echo "usage: $0 DIR [PUBLIC-KEY-FILE]" >&2; exit 2; }
dir=$(cd "$1" && pwd)
public=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

has() { command -v "$1" >/dev/null; }

missing=
for program in lintian rpm minisign; do has $program || missing="$missing $program"; done
# shellcheck disable=SC2086 # words
sh "$(dirname "$0")/../../scripts/system-packages.sh" try $missing

cd "$dir"
if has sha256sum; then sha256sum --quiet -c SHA256SUMS; else shasum -a 256 -c SHA256SUMS >/dev/null; fi
say "the checksums are right"
if [ -z "$public" ]; then
	say "skipped the signature: there is none"
elif has minisign; then
	minisign -Vm SHA256SUMS -p "$public" -q || fail "the signature of SHA256SUMS is not that of the key"
	say "the signature is right"
else
	say "skipped the signature: minisign is missing"
fi

module=$(sed -n 's/  agentassert\.wasm$//p' SHA256SUMS)
[ -n "$module" ] || fail "SHA256SUMS has no line for agentassert.wasm"

# tried WHAT COMMAND has a command say which module it has.
tried() {
	"$2" version >"$work/version" || fail "$1: the command does not run"
	grep -q "^module sha256 $module\$" "$work/version" || fail "$1: the command has another module than agentassert.wasm: $(cat "$work/version")"
	say "$1: $(head -n 1 "$work/version")"
}

os=$(uname | tr '[:upper:]' '[:lower:]')
case $(uname -m) in x86_64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) arch=none ;; esac

for archive in agentassert_*_"$os"_"$arch".tar.gz; do
	[ -f "$archive" ] || { say "skipped the archive: there is none for $os/$arch"; break; }
	mkdir "$work/archive"
	tar xzf "$archive" -C "$work/archive"
	tried "$archive" "$work/archive/${archive%.tar.gz}/agentassert"
done

for deb in agentassert_*_linux_"$arch".deb; do
	[ -f "$deb" ] || { say "skipped the deb: there is none for linux/$arch"; break; }
	if [ "$os" != linux ] || ! has dpkg || [ "$(id -u)" != 0 ]; then say "skipped the deb: it needs dpkg, and root"; break; fi
	root=$work/deb
	mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/etc"
	touch "$root/var/lib/dpkg/status" "$root/etc/passwd" "$root/etc/group"
	dpkg_there() { dpkg --root="$root" --force-script-chrootless --force-not-root --log=/dev/null "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "dpkg $1 failed"; }; }
	dpkg_there -i "$deb"
	tried "$deb" "$root/usr/bin/agentassert"
	if has systemd-sysusers; then grep -q '^agentassert:' "$root/etc/passwd" || fail "$deb: it made no user"; fi
	echo "# mine" >>"$root/etc/agentassert/proxy.yaml"
	dpkg_there -i --force-confold "$deb"
	grep -q '^# mine' "$root/etc/agentassert/proxy.yaml" || fail "$deb: installed again, it has undone what was configured"
	dpkg_there -r agentassert
	[ ! -e "$root/usr/bin/agentassert" ] && [ -e "$root/etc/agentassert/proxy.yaml" ] || fail "$deb: removed, it left the command, or has removed what was configured"
	dpkg_there -P agentassert
	left=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -path '*agentassert*' -print)
	[ -z "$left" ] || fail "$deb: purged, it left $left"
done

for rpm in agentassert_*_linux_"$arch".rpm; do
	[ -f "$rpm" ] || { say "skipped the rpm: there is none for linux/$arch"; break; }
	if ! has rpm || [ "$(id -u)" != 0 ]; then say "skipped the rpm: it needs rpm, and root"; break; fi
	root=$work/rpm
	mkdir "$root"
	# There is no shell in the folder for scripts, and no package that another could depend on.
	rpm_there() { rpm --root "$root" --nodeps --noscripts "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "rpm $1 failed"; }; }
	rpm -K --nosignature "$rpm" >/dev/null || fail "$rpm: rpm finds its digests wrong"
	rpm_there -i "$rpm"
	rpm_there -V agentassert
	tried "$rpm" "$root/usr/bin/agentassert"
	rpm_there -e agentassert
	left=$(find "$root" -path '*agentassert*' ! -type d -print)
	[ -z "$left" ] || fail "$rpm: removed, it left $left"
done

if has lintian; then
	for deb in agentassert_*.deb; do
		[ -f "$deb" ] || { say "skipped lintian: there is no deb"; break; }
		lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$deb" 2>"$work/log" || { cat "$work/log"; fail "$deb: lintian is not content"; }
		say "$deb: lintian is content"
	done
else
	say "skipped lintian: it is missing"
fi
