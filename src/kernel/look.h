/* look.h -- where in a half-typed text an option table stands. Inside kernel/ only. */
#ifndef CLEAVE_KERNEL_LOOK_H
#define CLEAVE_KERNEL_LOOK_H
#include <stdbool.h>
#include <stddef.h>

typedef struct OptionPlace {
    char callee[96]; /* "cl.train", "net:fit": whose table it is */
    char key[48];    /* the option whose value is written; "" with names */
    bool names;      /* the name of an option may stand here */
} OptionPlace;

/* For the end of a text that holds what stands before the word at the cursor. false: no
 * option table of a call is open there. */
bool option_place(const char *text, size_t n, OptionPlace *out);
#endif
