# What is installed: the libraries, the headers, and what pkg-config and CMake know of them.
include(CMakePackageConfigHelpers)

install(TARGETS agentassert agentassert_static EXPORT agentassertTargets
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET agentassert_curl)
	install(TARGETS agentassert_curl EXPORT agentassertTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/agentassert)
install(EXPORT agentassertTargets NAMESPACE agentassert:: DESTINATION ${package_folder})
configure_package_config_file(cmake/agentassertConfig.cmake.in agentassertConfig.cmake
	INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(agentassertConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/agentassertConfig.cmake
	${CMAKE_CURRENT_BINARY_DIR}/agentassertConfigVersion.cmake DESTINATION ${package_folder})

# The folders can be absolute, as distributions have them.
foreach(folder libdir includedir)
	string(TOUPPER CMAKE_INSTALL_${folder} variable)
	if(IS_ABSOLUTE "${${variable}}")
		set(pc_${folder} "${${variable}}")
	else()
		set(pc_${folder} "\${prefix}/${${variable}}")
	endif()
endforeach()
set(known agentassert)
if(TARGET agentassert_curl)
	list(APPEND known agentassert-curl)
endif()
foreach(name IN LISTS known)
	configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
