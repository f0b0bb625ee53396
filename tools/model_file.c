#include "model_file.h"
#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ot_model *ot_open_model(const char *path, int *code)
{
    ot_model *m = NULL;
    ot_status st = ot_model_open(&m, path);
    if (st != OT_OK) {
        *code = ot_tool_failed(st, path);
        if (st == OT_EARG)
            *code = OT_EXIT_FAILED;
    }
    return m;
}

ot_session *ot_open_session(const ot_model *m, const char *path, const ot_common_args *a, const ot_strings *values,
                            const ot_strings *given, bool no_fusion, int *code)
{
    ot_session *s = NULL;
    ot_session_options o = OT_SESSION_INIT;
    o.threads = a->threads;
    o.memory = a->memory;
    o.no_fusion = no_fusion;
    o.values = values ? values->s : NULL;
    o.n_values = values ? (int64_t)values->n : 0;
    o.given = given ? given->s : NULL;
    o.n_given = given ? (int64_t)given->n : 0;
    ot_status st = ot_session_create(&s, m, &o);
    if (st != OT_OK)
        *code = ot_tool_failed(st, path);
    return s;
}

int ot_open_labels(ot_labels **out, const char *file, const ot_model *m, const char *path)
{
    const char *text = ot_model_metadata(m, "onnxtune.labels");
    ot_status st = OT_OK;
    *out = NULL;
    if (file)
        st = ot_labels_read(out, file);
    else if (text)
        st = ot_labels_parse(out, text);
    if (st == OT_OK)
        return OT_EXIT_OK;
    ot_tool_failed(st, file ? file : path);
    return OT_EXIT_FAILED;
}

int ot_report_model(const ot_model *m, const char *path, bool json)
{
    ot_layers *l;
    ot_status st = ot_layers_open(&l, m, NULL, NULL, 0);
    if (st != OT_OK)
        return ot_tool_failed(st, path);
    const char *output = ot_model_output_name(m, 0);
    const char *type = output ? ot_layers_value(l, output) : "";
    if (ot_layers_problem(l))
        ot_tool_warning("%s: %s", path, ot_layers_problem(l));
    int code = OT_EXIT_OK;
    if (json)
        code =
            ot_print_json(json_pack("{s:o, s:I, s:I, s:o, s:o}", "model", ot_json_text(path), "layers",
                                    (json_int_t)ot_layers_count(l), "parameters", (json_int_t)ot_layers_parameters(l),
                                    "output", ot_json_text(output ? output : ""), "type", ot_json_text(type)))
                ? OT_EXIT_OK
                : OT_EXIT_FAILED;
    else
        printf("%s: %s layers, %s parameters, output %s %s\n", path, ot_count_text(ot_layers_count(l)),
               ot_count_text(ot_layers_parameters(l)), output ? output : "?", *type ? type : "?");
    ot_layers_close(l);
    return code;
}

ot_status ot_note_run(ot_model *m, const char *fmt, ...)
{
    const char *old = ot_model_metadata(m, "onnxtune.history");
    ot_version v;
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    size_t n = (old ? strlen(old) : 0) + strlen(line) + 2;
    char *all = ot_tool_calloc(n, 1);
    snprintf(all, n, "%s%s%s", old ? old : "", old && *old ? "\n" : "", line);
    ot_status st = ot_model_set_metadata(m, "onnxtune.history", all);
    free(all);
    ot_version_info(&v);
    return st == OT_OK ? ot_model_set_metadata(m, "onnxtune.version", v.version) : st;
}

bool ot_settle_shape(ot_tensor *shape)
{
    if (shape->rank > 0 && shape->dim[0] < 0)
        shape->dim[0] = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0)
            return false;
    return shape->rank >= 0;
}
