#include "progress.h"
#include "output.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR 20

static struct {
    bool started, visible;
    double begin, shown; /* seconds: when the work began, when the last line was written */
    int64_t first, at;   /* done at the begin (a resumed run), at the last line */
} now;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t columns(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return 80;
}

void ot_progress_begin(void)
{
    ot_progress_clear();
    now.started = false;
}

void ot_progress_clear(void)
{
    if (now.visible)
        fputs("\r\033[K", stderr);
    now.visible = false;
}

static size_t put(char *line, size_t at, size_t size, const char *fmt, ...) OT_TOOL_PRINTF(4, 5);
static size_t put(char *line, size_t at, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = at < size ? vsnprintf(line + at, size - at, fmt, ap) : 0;
    va_end(ap);
    return at + (n > 0 ? (size_t)n : 0);
}

static void make_line(char *line, size_t size, const ot_progress_state *p, bool bar)
{
    double share = p->total > 0 ? (double)p->done / (double)p->total : 0;
    double spent = seconds() - now.begin;
    size_t n = put(line, 0, size, "%s  ", p->what);
    if (bar) {
        char marks[BAR + 1];
        int full = (int)(share * BAR + 0.5);
        for (int i = 0; i < BAR; i++)
            marks[i] = i < full ? '#' : '.';
        marks[BAR] = 0;
        n = put(line, n, size, "[%s] ", marks);
    }
    n = put(line, n, size, "%lld/%lld", (long long)p->done, (long long)p->total);
    if (!isnan(p->loss))
        n = put(line, n, size, "  loss %.4f", p->loss);
    if (!isnan(p->lr))
        n = put(line, n, size, "  rate %.3g", p->lr);
    if (p->done >= p->total)
        put(line, n, size, "  took %s", ot_time_text(spent));
    else if (p->done > now.first)
        put(line, n, size, "  %s left",
            ot_time_text(spent * (double)(p->total - p->done) / (double)(p->done - now.first)));
}

void ot_progress_show(const ot_progress_state *p)
{
    char line[512];
    bool terminal = isatty(STDERR_FILENO), last = p->done >= p->total;
    double t = seconds();
    if (ot_tool_quiet())
        return;
    if (!now.started) {
        now.started = true;
        now.begin = t;
        now.shown = terminal ? 0 : t;
        now.first = now.at = last ? 0 : p->done;
    }
    bool due = terminal ? t - now.shown >= 0.1 || p->changed
                        : t - now.shown >= 1 && (double)(p->done - now.at) * 10 >= (double)(p->total - now.first);
    if (!due && !(last && (terminal || t - now.begin >= 1)))
        return;
    make_line(line, sizeof(line), p, terminal);
    if (!terminal) {
        fprintf(stderr, "%s\n", line);
    } else {
        size_t room = columns() - 1;
        if (strlen(line) > room)
            line[room] = 0;
        /* One write, the old rest erased after the new text: nothing blinks. */
        fprintf(stderr, "\r%s\033[K", line);
        now.visible = true;
    }
    fflush(stderr);
    now.shown = t;
    now.at = p->done;
}
