# One program holds all suites that run inside the process; tests/run adds the scripts.
enable_testing()
add_executable(onnxtune-tests tests/harness.c
    tests/test_base.c
    tests/test_file.c)
target_include_directories(onnxtune-tests PRIVATE . runtime tests ${PROTO_INCLUDE} ${PROTOBUF_C_INCLUDE})
target_link_libraries(onnxtune-tests PRIVATE onnxtune_static warnings)
add_test(NAME suites COMMAND onnxtune-tests)
