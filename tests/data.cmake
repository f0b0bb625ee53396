# Makes small models and pictures for the scripts and tools/quickstart.
add_executable(make_data tests/make_data.c)
target_include_directories(make_data PRIVATE runtime ${PROTO_INCLUDE} ${PROTOBUF_C_INCLUDE})
target_link_libraries(make_data PRIVATE onnxtune_static warnings)
