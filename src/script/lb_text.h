/* lb_text.h -- the text formats of cl.save and cl.load; the value to be saved is at
 * stack index 2. */
#ifndef CLEAVE_SCRIPT_LB_TEXT_H
#define CLEAVE_SCRIPT_LB_TEXT_H
#include "script/lb.h"

void lb_save_json(lua_State *L, const char *path); /* any value, as run.json has it */
void lb_save_text(lua_State *L, const char *path); /* a text, byte for byte */
int lb_load_json(lua_State *L, const char *path);  /* null becomes nil */
#endif
