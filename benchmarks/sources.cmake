# Not built by default: make bench_kernels.
add_executable(bench_kernels EXCLUDE_FROM_ALL benchmarks/bench_kernels.c)
target_include_directories(bench_kernels PRIVATE . runtime)
target_link_libraries(bench_kernels PRIVATE onnxtune_static warnings)

# For benchmarks/compare_torch.py: make dump_gradients.
add_executable(dump_gradients EXCLUDE_FROM_ALL benchmarks/dump_gradients.c tests/reshape_model.c)
target_include_directories(dump_gradients PRIVATE . runtime tests ${PROTO_INCLUDE} ${PROTOBUF_C_INCLUDE})
target_link_libraries(dump_gradients PRIVATE onnxtune_static warnings)

# For benchmarks/compare_ort.py: make run_on_request.
add_executable(run_on_request EXCLUDE_FROM_ALL benchmarks/run_on_request.c)
target_link_libraries(run_on_request PRIVATE onnxtune_static warnings)

# For benchmarks/compare_torch_step.py: make step_on_request.
add_executable(step_on_request EXCLUDE_FROM_ALL benchmarks/step_on_request.c)
target_link_libraries(step_on_request PRIVATE onnxtune_static warnings)

# What pictures cost to load: make bench_loader.
add_executable(bench_loader EXCLUDE_FROM_ALL benchmarks/bench_loader.c)
target_link_libraries(bench_loader PRIVATE onnxtune_static warnings)

# For benchmarks/compare_text.py: make text_on_request.
add_executable(text_on_request EXCLUDE_FROM_ALL benchmarks/text_on_request.c)
target_link_libraries(text_on_request PRIVATE onnxtune_static warnings)

# All of them, so that a test can see that they build: make benchmarks.
add_custom_target(benchmarks DEPENDS bench_kernels bench_loader dump_gradients run_on_request step_on_request
                                     text_on_request)
