# Models and pictures for tests/cli.sh.
add_executable(onnxtune-make-samples tests/make_samples.c tests/wire_data.c)
target_include_directories(onnxtune-make-samples PRIVATE tests)
target_link_libraries(onnxtune-make-samples PRIVATE warnings sanitize)
