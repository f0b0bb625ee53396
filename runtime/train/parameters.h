/* What trains: which initialisers are parameters, which of them are frozen, which BatchNormalizations learn their
 * statistics, and the groups of layers that share a rate.  All of it is read off the document; no graph is changed. */
#ifndef OT_TRAIN_PARAMETERS_H
#define OT_TRAIN_PARAMETERS_H

#include "base/arena.h"
#include "base/strmap.h"
#include "graph/derive.h"

typedef struct ot_parameter {
    const char *name; /* the initialiser's or Constant's */
    int64_t elements;
    int64_t layer; /* the first that reads it */
    int group;
    bool trains;
} ot_parameter;

typedef struct ot_parameters {
    ot_arena arena;
    ot_parameter *p; /* in the order of their layers */
    int64_t n, cap;
    int64_t layers;      /* of the document */
    int64_t first_layer; /* the first that is not frozen by freeze_to */
    ot_bn_mode *bn;      /* [layers] */
    int groups;
    int64_t group_layer[OT_MAX_GROUPS];
    double lr[OT_MAX_GROUPS], wd[OT_MAX_GROUPS];
    ot_strmap slots; /* names that become slots: what trains, and the statistics that are learnt */
} ot_parameters;

/* OT_EARG: a layer, name, group or number of rates that is not there; nothing trains at all. */
ot_status ot_parameters_find(ot_parameters *out, const ot_model *m, const ot_train_options *o);
void ot_parameters_release(ot_parameters *p);
/* By name; NULL when it is no parameter. */
const ot_parameter *ot_parameter_named(const ot_parameters *p, const char *name);

#endif
