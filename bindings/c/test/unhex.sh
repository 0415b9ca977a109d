#!/bin/sh
# Writes what a file says in hexadecimal.
set -eu
for byte in $(tr -d ' \n' <"$1" | sed 's/../& /g'); do
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %03o "0x$byte")"
done
