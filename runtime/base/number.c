#include "base/number.h"
#include "base/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_DIGITS 17 /* enough for every double */
#define MAX_TEXT   400

/* The digits of v > 0, as few as read back as v, without the point; v is about d.ddd * 10^*power. */
static int shortest(char digit[MAX_DIGITS + 1], int *power, double v, ot_dtype dtype)
{
    char text[64];
    int n = 0;
    for (int places = 0; places < MAX_DIGITS; places++) {
        snprintf(text, sizeof(text), "%.*e", places, v);
        if (ot_rounded(dtype, strtod(text, NULL)) == v)
            break;
    }
    const char *p = text;
    for (; *p != 'e'; p++) /* the point, whatever the locale makes of it, is skipped */
        if (*p >= '0' && *p <= '9' && n < MAX_DIGITS)
            digit[n++] = *p;
    *power = atoi(p + 1);
    while (n > 1 && digit[n - 1] == '0')
        n--;
    digit[n] = 0;
    return n;
}

int ot_number_text(char text[OT_NUMBER_TEXT], double v, ot_dtype dtype)
{
    char digit[MAX_DIGITS + 1];
    const char *sign = signbit(v) ? "-" : "";
    int power;
    if (isnan(v))
        return snprintf(text, OT_NUMBER_TEXT, "nan");
    if (isinf(v))
        return snprintf(text, OT_NUMBER_TEXT, "%sinf", sign);
    if (v == 0)
        return snprintf(text, OT_NUMBER_TEXT, "%s0.0", sign);
    int n = shortest(digit, &power, fabs(v), dtype);
    if (power < -4 || power >= 16)
        return snprintf(text, OT_NUMBER_TEXT, "%s%c%s%se%s%02d", sign, digit[0], n > 1 ? "." : "", digit + 1,
                        power < 0 ? "-" : "+", abs(power));
    if (power < 0)
        return snprintf(text, OT_NUMBER_TEXT, "%s0.%.*s%s", sign, -power - 1, "000", digit);
    if (n <= power + 1)
        return snprintf(text, OT_NUMBER_TEXT, "%s%s%.*s.0", sign, digit, power + 1 - n, "000000000000000");
    return snprintf(text, OT_NUMBER_TEXT, "%s%.*s.%s", sign, power + 1, digit, digit + power + 1);
}

static size_t digits(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

/* Sign, digits with at most one point, exponent; *point: where the point is, or the end of the digits. */
static bool is_decimal(const char *p, const char *end, const char **point)
{
    p += p < end && (*p == '+' || *p == '-');
    size_t whole = digits(p, end), after = 0;
    p += whole;
    *point = p;
    if (p < end && *p == '.') {
        after = digits(p + 1, end);
        p += 1 + after;
    }
    if (whole + after == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        size_t n = digits(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return p == end;
}

bool ot_number_read(double *out, const char *text, size_t n)
{
    static const struct {
        const char *word;
        double value;
    } words[] = { { "inf", HUGE_VAL }, { "+inf", HUGE_VAL }, { "-inf", -HUGE_VAL }, { "nan", (double)NAN } };
    char half[8], copy[MAX_TEXT + 8];
    const char *point;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (n == strlen(words[i].word) && strncasecmp(text, words[i].word, n) == 0) {
            *out = words[i].value;
            return true;
        }
    if (n == 0 || n > MAX_TEXT || !is_decimal(text, text + n, &point))
        return false;
    snprintf(half, sizeof(half), "%.1f", 0.5); /* strtod wants the locale's point, which lies between 0 and 5 */
    half[strlen(half) - 1] = 0;
    size_t before = (size_t)(point - text);
    snprintf(copy, sizeof(copy), "%.*s%s%.*s", (int)before, text, before < n && *point == '.' ? half + 1 : "",
             (int)(n - before - (before < n && *point == '.')), point + (before < n && *point == '.'));
    *out = strtod(copy, NULL);
    return true;
}
