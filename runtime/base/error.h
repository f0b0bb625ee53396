/* Errors: the cause is said once, where it is found; each layer that knows a name puts it in front on the way out.
 * The text sits in a fixed buffer of the thread, so reporting cannot fail. */
#ifndef OT_BASE_ERROR_H
#define OT_BASE_ERROR_H

#include "onnxtune.h"

#if defined(__GNUC__)
#define OT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OT_PRINTF(fmt, args)
#endif

/* Sets the thread's error text and returns st. */
ot_status ot_fail(ot_status st, const char *fmt, ...) OT_PRINTF(2, 3);
/* Puts "where: " in front of the text and returns st; a text too long loses its tail. */
ot_status ot_context(ot_status st, const char *fmt, ...) OT_PRINTF(2, 3);

/* Returns from the calling function on failure; only where nothing is held. */
#define OT_TRY(e)                                                                                                      \
    do {                                                                                                               \
        ot_status ot_try_status = (e);                                                                                 \
        if (ot_try_status != OT_OK)                                                                                    \
            return ot_try_status;                                                                                      \
    } while (0)

#endif
