/* What the commands of `onnxtune` share: the table of commands, exit codes, errors. */
#ifndef OT_TOOLS_TOOL_H
#define OT_TOOLS_TOOL_H

#include "onnxtune.h"

#if defined(__GNUC__)
#define OT_TOOL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OT_TOOL_PRINTF(fmt, args)
#endif

enum {
    OT_EXIT_OK = 0,
    OT_EXIT_FAILED = 1, /* the work failed: a bad model, bad data, a check that did not hold */
    OT_EXIT_USAGE = 2,  /* wrong usage */
    OT_EXIT_INT = 130,  /* after SIGINT, the state was saved */
    OT_EXIT_TERM = 143  /* after SIGTERM, likewise */
};

/* A command gets its own name as argv[0] and returns the exit code. */
typedef struct ot_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does; /* one line for --help */
} ot_command;

int ot_cmd_bench(int argc, char **argv);
int ot_cmd_check(int argc, char **argv);
int ot_cmd_eval(int argc, char **argv);
int ot_cmd_export(int argc, char **argv);
int ot_cmd_lm(int argc, char **argv);
int ot_cmd_lr_find(int argc, char **argv);
int ot_cmd_new(int argc, char **argv);
int ot_cmd_predict(int argc, char **argv);
int ot_cmd_run(int argc, char **argv);
int ot_cmd_show(int argc, char **argv);
int ot_cmd_surgery(int argc, char **argv);
int ot_cmd_tune(int argc, char **argv);

/* Prints "onnxtune: FILE: the library's last error" (FILE once only; NULL: none) and returns OT_EXIT_FAILED; wrong
 * arguments (OT_EARG) are OT_EXIT_USAGE.  Where there is advice for this kind of error, it is a second line. */
int ot_tool_failed(ot_status st, const char *file);
/* "onnxtune: text" on stderr. */
void ot_tool_error(const char *fmt, ...) OT_TOOL_PRINTF(1, 2);
/* The line after an error: what to do. */
void ot_tool_advice(const char *fmt, ...) OT_TOOL_PRINTF(1, 2);
/* "onnxtune: warning: text" on stderr, not under --quiet. */
void ot_tool_warning(const char *fmt, ...) OT_TOOL_PRINTF(1, 2);
/* A line of news on stderr, not under --quiet. */
void ot_tool_note(const char *fmt, ...) OT_TOOL_PRINTF(1, 2);
/* As --quiet asks. */
void ot_tool_set_quiet(bool quiet);
bool ot_tool_quiet(void);

/* Memory of the command itself: ends the process with an error when there is none. */
void *ot_tool_calloc(size_t n, size_t size);
void *ot_tool_grow(void *p, size_t n, size_t size); /* p holds n elements; room for one more (zeroed) */

#endif
