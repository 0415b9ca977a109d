# Makes agentassert-c-VERSION.tar.gz, which CMake and a C compiler build: with the module in C,
# as wasm2c made it, the one header that this needs, the module itself and its SHA-256.
#
#   cmake -DSOURCE=… -DMODULE=… -DVERSION=… -DOUTPUT=… -P SourcePackage.cmake
foreach(variable SOURCE MODULE VERSION OUTPUT)
	if(NOT ${variable})
		message(FATAL_ERROR "-D${variable}=… is missing")
	endif()
endforeach()

set(name agentassert-c-${VERSION})
set(folder ${OUTPUT}/${name})
file(REMOVE_RECURSE ${folder})
file(COPY ${SOURCE}/CMakeLists.txt ${SOURCE}/README.md ${SOURCE}/cmake ${SOURCE}/include ${SOURCE}/src
	${SOURCE}/example DESTINATION ${folder})
if(EXISTS ${SOURCE}/LICENSE)
	file(COPY ${SOURCE}/LICENSE DESTINATION ${folder})
else()
	file(COPY ${SOURCE}/../../LICENSE DESTINATION ${folder})
endif()
file(GLOB parts ${MODULE}/guest_module*.c ${MODULE}/guest_module*.h)
file(COPY ${parts} ${MODULE}/wasm-rt.h ${MODULE}/agentassert.wasm ${MODULE}/translated DESTINATION ${folder}/module)
file(SHA256 ${MODULE}/agentassert.wasm digest)
file(WRITE ${folder}/module/agentassert.wasm.sha256 "${digest}  agentassert.wasm\n")
file(WRITE ${folder}/module/NOTICE "guest_module* is agentassert.wasm in C, as wasm2c 1.0.42 made it (wasm2c -n agentassert).
wasm-rt.h is wasm2c's, and so are the macros in guest_module-impl.h: copyright WebAssembly Community Group
participants, under the Apache License, version 2.0, as LICENSE has it.
")
execute_process(COMMAND ${CMAKE_COMMAND} -E tar czf ${name}.tar.gz --format=gnutar ${name}
	WORKING_DIRECTORY ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE ${folder})
message(STATUS "${OUTPUT}/${name}.tar.gz")
