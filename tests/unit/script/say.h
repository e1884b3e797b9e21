/* say.h -- runs a text in a fresh or given Script and looks at how it ended. */
#ifndef CLEAVE_TEST_SAY_H
#define CLEAVE_TEST_SAY_H
#include "support.h"

#include "script/script.h"

static inline ScriptEnd say_in(Script *s, const char *text, json_t **result, Err *err)
{
    memset(err, 0, sizeof *err);
    return script_run_text(s, text, strlen(text), "@cell", result, err);
}

/* The text must end well; its result is compared as compact JSON. */
static inline void says(Script *s, const char *text, const char *want)
{
    Err err;
    json_t *result = NULL;
    ScriptEnd end = say_in(s, text, &result, &err);
    if (end != SCRIPT_DONE)
        fail_msg("%s\nended with %d: %s\n%s", text, (int)end, err.msg, script_trace(s));
    char *got =
        result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("none");
    if (strcmp(got, want))
        fail_msg("%s\ngave %s, not %s", text, got, want);
    free(got);
    json_decref(result);
}

/* The text must fail with a message that holds `part`. */
static inline void fails(Script *s, const char *text, const char *part)
{
    Err err;
    ScriptEnd end = say_in(s, text, NULL, &err);
    if (end != SCRIPT_FAILED)
        fail_msg("%s\nended with %d", text, (int)end);
    assert_has(err.msg, part);
}

static inline Script *new_script(void)
{
    Err err;
    Script *s = script_new(NULL, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}
#endif
