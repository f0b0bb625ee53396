#include "history.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>

void ot_history_add(ot_history *h, const ot_event *e)
{
    h->row = ot_tool_grow(h->row, h->n, sizeof(*h->row));
    h->row[h->n++] = *e;
}

/* A rate was a float: its decimals without the digits that a double adds. */
static double plain(double rate)
{
    char text[32];
    snprintf(text, sizeof(text), "%.7g", rate);
    return strtod(text, NULL);
}

static void put_number(FILE *f, double v, char end)
{
    if (isfinite(v))
        fprintf(f, "%.9g", v);
    fputc(end, f);
}

ot_status ot_history_write(const ot_history *h, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return ot_set_error(OT_ENOMEM, "out of memory: the history");
    fprintf(f, "epoch,step,train_loss,valid_loss,valid_loss_unweighted,accuracy,rate,seconds,waited\n");
    for (size_t i = 0; i < h->n; i++) {
        const ot_event *e = &h->row[i];
        fprintf(f, "%lld,%lld,", (long long)e->epoch + 1, (long long)e->step);
        put_number(f, e->loss, ',');
        put_number(f, e->valid_loss, ',');
        put_number(f, e->valid_loss_unweighted, ',');
        put_number(f, e->valid_accuracy, ',');
        put_number(f, plain(e->lr), ',');
        put_number(f, e->seconds, ',');
        put_number(f, e->waited, '\n');
    }
    ot_status st = fclose(f) == 0 ? ot_file_write(path, text, size) : ot_set_error(OT_ENOMEM, "out of memory");
    free(text);
    return st;
}

json_t *ot_history_json(const ot_history *h, const char *model)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < h->n; i++) {
        const ot_event *e = &h->row[i];
        json_array_append_new(rows, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "epoch", (json_int_t)e->epoch + 1,
                                              "step", (json_int_t)e->step, "loss", ot_json_real(e->loss), "valid_loss",
                                              ot_json_real(e->valid_loss), "accuracy", ot_json_real(e->valid_accuracy),
                                              "rate", ot_json_real(plain(e->lr)), "seconds", ot_json_real(e->seconds)));
    }
    const ot_event *last = h->n ? &h->row[h->n - 1] : NULL;
    return json_pack("{s:o, s:o, s:o, s:o}", "model", ot_json_text(model), "epochs", rows, "loss",
                     ot_json_real(last ? last->valid_loss : NAN), "accuracy",
                     ot_json_real(last ? last->valid_accuracy : NAN));
}
