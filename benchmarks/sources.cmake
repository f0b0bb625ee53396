# Not built by default: make bench_kernels.
add_executable(bench_kernels EXCLUDE_FROM_ALL benchmarks/bench_kernels.c)
target_include_directories(bench_kernels PRIVATE . runtime)
target_link_libraries(bench_kernels PRIVATE onnxtune_static warnings)
