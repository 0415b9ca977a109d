#!/bin/sh
# Compiles the README's program that makes calls, and runs it where nobody is signed in.
#
#   calls.sh CC SOURCE BUILD FOLDER
set -eu
cc=$1 source=$2 build=$3 folder=$4
mkdir -p "$folder"
cd "$folder"
awk '
	/^```c$/ { inside = 1; text = ""; next }
	/^```$/ { if (inside && text ~ /agentassert_curl/ && text ~ /int main\(/) printf "%s", text; inside = 0; next }
	inside { text = text $0 "\n" }
' "$source/README.md" >calls.c
"$cc" -Wall -Wextra -Werror -I "$source/include" calls.c -L "$build" -lagentassert-curl -lagentassert -o calls
LD_LIBRARY_PATH="$build" DYLD_LIBRARY_PATH="$build" ./calls >output.txt
grep -q '^none: no-chatgpt-credentials, auth_file_missing' output.txt
