/* script_int.h -- what script.c and inspect.c share. Inside script/ only. */
#ifndef CLEAVE_SCRIPT_SCRIPT_INT_H
#define CLEAVE_SCRIPT_SCRIPT_INT_H
#include <lua.h>

#include "script/script.h"

lua_State *script_state(Script *s);
#endif
