/* What this build of the library is and can do. */
#include "base/threads.h"
#include "data/image.h"
#include "model/model.h"
#include "op.h"

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>

void ot_version_info(ot_version *out)
{
    *out = (ot_version){ .version = ONNXTUNE_VERSION, .opset = OT_LATEST, .ir_version = OT_NEWEST_IR };
    out->isa = ot_ops_isa();
    out->cores = ot_physical_cores();
    snprintf(out->libraries, sizeof(out->libraries), "protobuf-c %s, %s", protobuf_c_version(), ot_image_libraries());
    snprintf(out->devices, sizeof(out->devices), "cpu");
}
