/* What a regular expression is compiled to. */
#ifndef OT_OPS_REGEX_STEPS_H
#define OT_OPS_REGEX_STEPS_H

#include "regex.h"

typedef enum step_kind {
    STEP_SET,  /* a character of ranges first .. first + count - 1, or one of none of them */
    STEP_FORK, /* on at both places */
    STEP_JUMP,
    STEP_AT, /* on where the text is so at this place */
    STEP_END
} step_kind;

typedef enum place_kind { AT_START, AT_END, AT_LINE_START, AT_LINE_END, AT_WORD_EDGE, AT_NO_WORD_EDGE } place_kind;

/* Places are relative, so that a run of steps can be moved. */
typedef struct step {
    step_kind kind;
    bool negative;
    int a, b; /* ranges; or places */
} step;

typedef struct range {
    int32_t from, to;
} range;

struct ot_regex {
    step *step;
    int64_t n_step, cap_step;
    range *set;
    int64_t n_set, cap_set;
};

#endif
