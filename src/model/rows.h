/* rows.h -- the table of networks: one line a file. To add a network: a row in a new
 * file, a line here and a line in model.c. Rows have the options "input" and "classes"
 * (sizes) and "seed", all OPT_INT. */
#ifndef CLEAVE_MODEL_ROWS_H
#define CLEAVE_MODEL_ROWS_H
#include "model/model.h"

extern const ModelRow model_bilinear, model_mlp, model_cnn, model_resid, model_tms;

enum { MODEL_MAX_SIZE = 1 << 20 }; /* of one layer */

/* "500,128" into size[0..*n-1], at most cap; `option` is named in errors. */
bool model_widths(const char *text, const char *option, int cap, int64_t *size, int *n,
                  Err *err);

#endif
