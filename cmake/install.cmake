# Installs both libraries, the public header, what pkg-config and find_package read, the manual and the licence;
# tools/sources.cmake installs the command.
include(CMakePackageConfigHelpers)

set_target_properties(onnxtune_static PROPERTIES EXPORT_NAME onnxtune_static)
install(TARGETS onnxtune onnxtune_static EXPORT onnxtune
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES runtime/onnxtune.h runtime/onnxtune_data.h runtime/onnxtune_train.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(EXISTS ${CMAKE_SOURCE_DIR}/docs/onnxtune.1)
  install(FILES docs/onnxtune.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

# pkg-config: --static adds what the static library needs.
set(ONNXTUNE_PC_PRIVATE "-lprotobuf-c")
if(JPEG_FOUND)
  string(APPEND ONNXTUNE_PC_PRIVATE " -ljpeg")
endif()
file(RELATIVE_PATH ONNXTUNE_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/onnxtune.pc.in onnxtune.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/onnxtune.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# find_package(onnxtune): onnxtune::onnxtune and onnxtune::onnxtune_static.
set(ONNXTUNE_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/onnxtune)
configure_package_config_file(cmake/onnxtuneConfig.cmake.in onnxtuneConfig.cmake INSTALL_DESTINATION ${ONNXTUNE_CMAKE_DIR})
write_basic_package_version_file(onnxtuneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/onnxtuneConfig.cmake ${CMAKE_BINARY_DIR}/onnxtuneConfigVersion.cmake
  DESTINATION ${ONNXTUNE_CMAKE_DIR})
install(EXPORT onnxtune NAMESPACE onnxtune:: FILE onnxtuneTargets.cmake DESTINATION ${ONNXTUNE_CMAKE_DIR})
