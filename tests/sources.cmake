# One program holds all suites that run inside the process; tests/run adds the scripts.
enable_testing()
add_executable(onnxtune-tests tests/doc.c tests/harness.c tests/mutate.c tests/net.c tests/op_case.c tests/op_case_gradient.c tests/op_rig.c tests/pictures.c tests/reshape_model.c tests/wire_data.c
    tests/kernel_rig.c
    tests/test_arrange.c
    tests/test_augment.c
    tests/test_base.c
    tests/test_batchnorm.c
    tests/test_blocks.c
    tests/test_cast.c
    tests/test_check.c
    tests/test_conformance.c
    tests/test_conv.c
    tests/test_document.c
    tests/test_edit.c
    tests/test_einsum.c
    tests/test_elementwise.c
    tests/test_expand.c
    tests/test_exports.c
    tests/test_file.c
    tests/test_folder.c
    tests/test_freeze.c
    tests/test_functions.c
    tests/test_gemm.c
    tests/test_graph.c
    tests/test_hostile.c
    tests/test_image.c
    tests/test_item.c
    tests/test_kernel_conv.c
    tests/test_kernel_rows.c
    tests/test_kernels.c
    tests/test_known.c
    tests/test_layer_table.c
    tests/test_loader.c
    tests/test_loss.c
    tests/test_metadata.c
    tests/test_model.c
    tests/test_movement.c
    tests/test_norm.c
    tests/test_npy.c
    tests/test_old_files.c
    tests/test_open_rank.c
    tests/test_optimiser_step.c
    tests/test_pool.c
    tests/test_quantize.c
    tests/test_random.c
    tests/test_reduce.c
    tests/test_regions.c
    tests/test_relu.c
    tests/test_reshape.c
    tests/test_resize.c
    tests/test_resume.c
    tests/test_round_trip.c
    tests/test_sampling.c
    tests/test_scatter.c
    tests/test_schedule.c
    tests/test_session.c
    tests/test_shapes.c
    tests/test_signal.c
    tests/test_softmax.c
    tests/test_split.c
    tests/test_surgery.c
    tests/test_torch.c
    tests/test_train.c)
target_include_directories(onnxtune-tests PRIVATE . runtime tests ${PROTO_INCLUDE} ${PROTOBUF_C_INCLUDE})
set_source_files_properties(tests/pictures.c PROPERTIES INCLUDE_DIRECTORIES "${STB_INCLUDE}" COMPILE_OPTIONS -w)
target_compile_definitions(onnxtune-tests PRIVATE TEST_NODE_LIST="${CMAKE_SOURCE_DIR}/tests/onnx_node.txt"
                                                   TEST_SHAPES="${CMAKE_SOURCE_DIR}/tests/onnx_shapes.txt")
target_link_libraries(onnxtune-tests PRIVATE onnxtune_static warnings)
add_test(NAME suites COMMAND onnxtune-tests)
