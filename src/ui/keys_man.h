/* keys_man.h -- the manual page of keys, made from their table. */
#ifndef CLEAVE_UI_KEYS_MAN_H
#define CLEAVE_UI_KEYS_MAN_H
#include "base/str.h"

/* mdoc source. */
void keys_man(Str *out);
#endif
