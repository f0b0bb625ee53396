set(OPS_SOURCES
    ops/affine_grid.c
    ops/argmax.c
    ops/attention.c
    ops/axes.c
    ops/batchnorm.c
    ops/batchnorm_train.c
    ops/binary.c
    ops/bitwise.c
    ops/block.c
    ops/block_conv.c
    ops/block_conv_grad.c
    ops/block_norm.c
    ops/block_pool.c
    ops/block_pool_grad.c
    ops/boxes.c
    ops/broadcast.c
    ops/cast.c
    ops/center_crop_pad.c
    ops/chain.c
    ops/clip.c
    ops/col2im.c
    ops/compare.c
    ops/concat.c
    ops/control.c
    ops/conv.c
    ops/conv_grad.c
    ops/conv_reference.c
    ops/conv_shape.c
    ops/conv_transpose.c
    ops/cumulate.c
    ops/deform_conv.c
    ops/depth_to_space.c
    ops/det.c
    ops/dft.c
    ops/diagonal.c
    ops/dropout.c
    ops/dropout_seeded.c
    ops/einsum.c
    ops/einsum_equation.c
    ops/einsum_product.c
    ops/expand.c
    ops/fft.c
    ops/flex_attention.c
    ops/gather.c
    ops/gather_elements.c
    ops/gemm.c
    ops/grad_norm.c
    ops/grid_sample.c
    ops/groupnorm.c
    ops/kernels/dispatch.c
    ops/known.c
    ops/label_encoder.c
    ops/layernorm.c
    ops/linear_attention.c
    ops/loss.c
    ops/loss_elementwise.c
    ops/loss_grad.c
    ops/lp_pool.c
    ops/lrn.c
    ops/matmul.c
    ops/max_roi_pool.c
    ops/max_unpool.c
    ops/nms.c
    ops/nonzero.c
    ops/norm_rows.c
    ops/normalise.c
    ops/onehot.c
    ops/optimiser_step.c
    ops/optional.c
    ops/pad.c
    ops/pool.c
    ops/pool_grad.c
    ops/pool_shape.c
    ops/pow.c
    ops/preview_training.c
    ops/product.c
    ops/quantize.c
    ops/quantize_products.c
    ops/random.c
    ops/range.c
    ops/recurrent.c
    ops/recurrent_fast.c
    ops/recurrent_fast_grad.c
    ops/recurrent_reference.c
    ops/reduce.c
    ops/regex.c
    ops/regex_full_match.c
    ops/regex_match.c
    ops/registry.c
    ops/relu.c
    ops/reshape.c
    ops/resize.c
    ops/resize_shape.c
    ops/resize_taps.c
    ops/reverse_sequence.c
    ops/rmsnorm.c
    ops/roi_align.c
    ops/rotary_embedding.c
    ops/run.c
    ops/scan.c
    ops/scatter.c
    ops/scatter_elements.c
    ops/scatter_grad.c
    ops/scatter_rules.c
    ops/sequence.c
    ops/sequence_map.c
    ops/shape_ops.c
    ops/shape_rules.c
    ops/signal_window.c
    ops/slice.c
    ops/softmax.c
    ops/stft.c
    ops/strided.c
    ops/string_normalizer.c
    ops/strings.c
    ops/sum_to.c
    ops/tfidf.c
    ops/tile.c
    ops/topk.c
    ops/transpose.c
    ops/tree_ensemble.c
    ops/unary.c
    ops/unique.c
    ops/where.c)

# The kernels' sources are compiled once for each instruction set; ops/kernels/dispatch.c picks one at run time.
set(KERNEL_OBJECTS)
set(KERNEL_SOURCES block_conv block_micro block_norm block_outer block_planes block_planes_grad block_weights block_wino
    block_wino_tiles block_wino_weights channels conv conv_weights depthwise gemm gemm_packed gemm_thin lattice micro pooling
    product rows softmax table winograd winograd_transform winograd_weights)
list(TRANSFORM KERNEL_SOURCES PREPEND ops/kernels/isa/)
list(TRANSFORM KERNEL_SOURCES APPEND .c)
function(add_kernels isa lanes)
  add_library(kernels_${isa} OBJECT ${KERNEL_SOURCES})
  target_compile_definitions(kernels_${isa} PRIVATE OT_ISA=${isa} OT_VL=${lanes})
  target_compile_options(kernels_${isa} PRIVATE -ffp-contract=fast -fno-math-errno -fno-trapping-math ${ARGN})
  target_link_libraries(kernels_${isa} PRIVATE warnings sanitize)
  set(KERNEL_OBJECTS ${KERNEL_OBJECTS} $<TARGET_OBJECTS:kernels_${isa}> PARENT_SCOPE)
endfunction()
add_kernels(baseline 4)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_kernels(avx2 8 -mavx2 -mfma)
  add_kernels(avx512 16 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
endif()

