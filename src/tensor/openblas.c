/* openblas.c -- opening the library. It starts as many threads as there are cores unless its
 * environment variable says otherwise, so the variable is set for the moment of opening
 * and put back, for the sake of programs that a script starts. */
#include "tensor/openblas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAME_OF(name) #name,

static OpenBlas lib;
static Err lib_err; /* why it is not there */

/* The members are pointers to functions, in the order of names. */
static void open_library(void)
{
    static const char *const names[] = {OPENBLAS_FUNCTIONS(NAME_OF)};
    _Static_assert(sizeof lib == ARRAY_LEN(names) * sizeof(void (*)(void)), "no gaps");
    bool was_set = getenv("OPENBLAS_NUM_THREADS") != NULL;
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    void *so = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!was_set)
        unsetenv("OPENBLAS_NUM_THREADS");
    for (size_t i = 0; so && i < ARRAY_LEN(names); i++) {
        void *symbol = dlsym(so, names[i]);
        memcpy((char *)&lib + i * sizeof symbol, &symbol, sizeof symbol);
        if (!symbol)
            so = NULL;
    }
    if (so) {
        lib.openblas_set_num_threads(1);
        return;
    }
    memset(&lib, 0, sizeof lib);
    err_set(&lib_err, ERR_IO,
            "nothing can be multiplied: libopenblas.so.0 is missing or too old (Debian "
            "package libopenblas0)");
}

const OpenBlas *openblas(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    return &lib;
}

bool openblas_ready(Err *err)
{
    openblas();
    if (lib_err.code != ERR_NONE && err)
        *err = lib_err;
    return lib_err.code == ERR_NONE;
}
