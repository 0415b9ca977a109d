#!/bin/sh
# Builds the source package's library, installs it, and compiles and runs the READMEs' programs
# against it in an empty project: with pkg-config, shared and static, and with CMake.
#
#   package.sh CMAKE BUILD FOLDER CC README...
#
# The module takes a minute and a half to compile, and is the same in BUILD: so what is compiled
# of the package here is everything else. AGENTASSERT_PACKAGE_WHOLE=1 has it compile the module,
# too.
set -eu
cmake=$1 build=$2 folder=$3 cc=$4
shift 4
rm -rf "$folder"
mkdir -p "$folder/empty"

"$cmake" --build "$build" --target source_package >/dev/null
tar xzf "$build"/agentassert-c-*.tar.gz -C "$folder"
package=$(echo "$folder"/agentassert-c-*)
(cd "$package/module" && { sha256sum -c agentassert.wasm.sha256 || shasum -a 256 -c agentassert.wasm.sha256; } >/dev/null)

# Nothing but a compiler: no wasm2c is found.
if [ "${AGENTASSERT_PACKAGE_WHOLE:-}" ]; then
	objects=
else
	objects=-DAGENTASSERT_MODULE_OBJECTS=$build/CMakeFiles/agentassert_module.dir
fi
PATH=/usr/bin:/bin "$cmake" -S "$package" -B "$folder/build" -DCMAKE_C_COMPILER="$cc" -DWASM2C=no ${objects:+"$objects"} \
	-DCMAKE_INSTALL_PREFIX="$folder/prefix" -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
"$cmake" --build "$folder/build" >/dev/null
"$cmake" --install "$folder/build" >/dev/null

# The programs in the READMEs: fenced with their language, and with a main.
cd "$folder/empty"
awk '
	/^```c(pp)?$/ { language = substr($0, 4); text = ""; next }
	/^```$/ && language { if (text ~ /int main\(/) printf "%s", text > (++n "." language); language = ""; next }
	language { text = text $0 "\n" }
' "$@"
ls -- *.c >/dev/null
export PKG_CONFIG_PATH="$folder/prefix/lib/pkgconfig" LD_LIBRARY_PATH="$folder/prefix/lib"
for source in *.c; do
	if grep -q curl "$source"; then
		# It needs a library that may not be there.
		if pkg-config --exists agentassert-curl; then
			# shellcheck disable=SC2046 # words
			"$cc" -Wall -Wextra -Werror "$source" $(pkg-config --cflags --libs agentassert-curl) -o curl
			./curl | grep -q auth_file_missing
		fi
		continue
	fi
	# shellcheck disable=SC2046 # words
	"$cc" -Wall -Wextra -Werror "$source" $(pkg-config --cflags --libs agentassert) -o shared
	# shellcheck disable=SC2046
	"$cc" -Wall -Wextra -Werror "$source" $(pkg-config --cflags agentassert) "$folder/prefix/lib/libagentassert.a" \
		$(pkg-config --static --libs-only-other agentassert) -pthread -o static
	./shared >shared.txt
	./static >static.txt
	test -s shared.txt && test -s static.txt
done

cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.18)
project(empty LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(agentassert 0.1 REQUIRED)
file(GLOB sources *.c *.cpp)
foreach(source IN LISTS sources)
	file(STRINGS ${source} curl REGEX agentassert_curl)
	if(curl)
		continue()
	endif()
	get_filename_component(name ${source} NAME)
	string(MAKE_C_IDENTIFIER program_${name} name)
	add_executable(${name} ${source})
	target_link_libraries(${name} PRIVATE agentassert::agentassert)
	add_executable(${name}_static ${source})
	target_link_libraries(${name}_static PRIVATE agentassert::agentassert_static)
endforeach()
END
"$cmake" -S . -B build -DCMAKE_PREFIX_PATH="$folder/prefix" >/dev/null
"$cmake" --build build >/dev/null
ran=0
for program in build/program_*; do
	"$program" >output.txt
	test -s output.txt
	ran=$((ran + 1))
done
echo "$ran programs"
test "$ran" -ge 8
