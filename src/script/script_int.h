/* script_int.h -- what script.c, where.c and inspect.c share. Inside script/ only. */
#ifndef CLEAVE_SCRIPT_SCRIPT_INT_H
#define CLEAVE_SCRIPT_SCRIPT_INT_H
#include <lua.h>

#include "script/script.h"

lua_State *script_state(Script *s);
/* For a message handler. Pushes the calls that led to the error, one a line, innermost
 * first: "at [2]:3, in f"; the place that the sentence begins with is left out. */
void lb_push_calls(lua_State *L, const char *msg);
/* Pushes the sentence; where it is about a call of something that is not there, with the
 * nearest name of the library. */
void lb_push_meant(lua_State *L, const char *msg);
#endif
