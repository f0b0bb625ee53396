# The command.  It sees only the public header, libc and jansson.
find_path(JANSSON_INCLUDE jansson.h REQUIRED)
find_library(JANSSON NAMES jansson REQUIRED)
add_executable(onnxtune-command
    tools/args.c
    tools/bench_measure.c
    tools/bench_report.c
    tools/check_cases.c
    tools/cmd_bench.c
    tools/cmd_check.c
    tools/cmd_eval.c
    tools/cmd_export.c
    tools/cmd_lm.c
    tools/cmd_lr_find.c
    tools/cmd_new.c
    tools/cmd_predict.c
    tools/cmd_run.c
    tools/cmd_show.c
    tools/cmd_surgery.c
    tools/cmd_tune.c
    tools/fill.c
    tools/history.c
    tools/lm_eval.c
    tools/lm_generate.c
    tools/lm_text.c
    tools/model_file.c
    tools/onnxtune.c
    tools/output.c
    tools/progress.c
    tools/show_training.c
    tools/svg.c
    tools/tool.c
    tools/train_args.c
    tools/training.c)
set_target_properties(onnxtune-command PROPERTIES OUTPUT_NAME onnxtune)
target_compile_definitions(onnxtune-command PRIVATE _GNU_SOURCE)
target_include_directories(onnxtune-command PRIVATE tools ${JANSSON_INCLUDE})
target_link_libraries(onnxtune-command PRIVATE onnxtune_static warnings sanitize ${JANSSON} m)
install(TARGETS onnxtune-command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
