#!/bin/sh
# Fails if a shared library has other names for others to see than agentassert_…
set -eu
if [ "$(uname)" = Darwin ]; then
	names=$(nm -gU "$1" | awk '{ print $3 }' | sed 's/^_//')
else
	names=$(nm -D --defined-only "$1" | awk '{ print $3 }')
fi
[ -n "$names" ] || { echo "there are no names at all" >&2; exit 1; }
others=$(echo "$names" | grep -v '^agentassert_' || true)
[ -z "$others" ] || { echo "others can see: $others" >&2; exit 1; }
