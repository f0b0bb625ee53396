set(OPS_SOURCES
    ops/registry.c
    ops/relu.c
    ops/run.c
    ops/shape_rules.c
    ops/sum_to.c)
set(KERNEL_OBJECTS)
