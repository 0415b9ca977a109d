#!/bin/sh
# Installs what the tests of the C library use beside a compiler, where it is missing: the
# languages of the examples, libcurl for requests, OpenSSL and libsodium to be measured
# beside, a 32-bit compiler and valgrind. The tests of what cannot be had are skipped.
set -eu

# need PACKAGES... COMMAND... has what is missing of it installed: "command ruby" looks for a
# program, "header curl/curl.h" for a header, "flag -m32" tries to link with a compiler's flag,
# "perl FFI::Platypus" for a module.
missing=
need() {
	packages=$1
	case $2 in
	command) command -v "$3" >/dev/null && return ;;
	header) echo "#include <$3>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 && return ;;
	flag) echo 'int main(void) { return 0; }' | ${CC:-cc} "$3" -x c -o /dev/null - >/dev/null 2>&1 && return ;;
	perl) perl -M"$3" -e 1 >/dev/null 2>&1 && return ;;
	esac
	missing="$missing $packages"
}
need ruby command ruby
need php-cli command php
need luajit command luajit
need libffi-platypus-perl perl FFI::Platypus
need libcurl4-openssl-dev header curl/curl.h
need libssl-dev header openssl/evp.h
need libsodium-dev header sodium.h
need "gcc-multilib g++-multilib" flag -m32
need valgrind command valgrind
need pkg-config command pkg-config

# shellcheck disable=SC2086 # words
exec sh "$(dirname "$0")/../../../scripts/system-packages.sh" c $missing
