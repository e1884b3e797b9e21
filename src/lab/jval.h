/* jval.h -- JSON values as cleave writes and reads them: compact lines or indented
 * files, numbers in the shortest form that reads back to the same bits, NaN and
 * infinities as the strings "nan", "inf", "-inf" (JSON has none), strings always valid
 * UTF-8, at most 64 levels of nesting. Values are jansson's; everything returned is a
 * new reference that the caller releases. A NULL value in jansson's functions means out
 * of memory. */
#ifndef CLEAVE_LAB_JVAL_H
#define CLEAVE_LAB_JVAL_H
#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

enum { JVAL_DEPTH = 64 };

/* A string; every invalid byte and every NUL becomes U+FFFD. NULL: out of memory. */
json_t *jval_text(const char *s, size_t n);
/* The same of at most `most` bytes, and how many there were. */
json_t *jval_clipped(const char *s, size_t n, size_t most);
json_t *jval_str(const char *s); /* NUL-terminated; NULL gives null */
/* A number; NaN and infinities become strings, integral values below 2^53 integers. */
json_t *jval_number(double v);
/* The number back, from a real, an integer or one of the three strings; else `dflt`. */
double jval_to_number(const json_t *v, double dflt);
/* The text of a member, or `dflt` when it is missing or no string. Borrowed. */
const char *jval_get(const json_t *object, const char *key, const char *dflt);
int64_t jval_get_int(const json_t *object, const char *key, int64_t dflt);
/* Puts a value under a key; takes it, NULL included. false: out of memory. */
bool jval_set(json_t *object, const char *key, json_t *taken);

/* Appends the value as text: one line, or with `indent` spaces a level (0: one line).
 * ERR_FORMAT when it is nested deeper than JVAL_DEPTH. */
bool jval_dump(const json_t *v, int indent, Str *out, Err *err);
/* Reads one value; ERR_FORMAT says where the text stops being JSON. */
json_t *jval_parse(const char *s, size_t n, Err *err);
/* Reads a file that must hold one object, at most `max` bytes. */
json_t *jval_read_file(const char *path, size_t max, Err *err);
/* Writes a file, two spaces a level, atomically. */
bool jval_write_file(const char *path, const json_t *v, Err *err);
#endif
