/* clean.h -- foreign text made harmless. Labels, cell output, file names and error
 * texts come from anywhere; whatever is shown goes through here first. A printable code
 * point stays; C0 controls and DEL become ^X, everything else that could steer a
 * terminal or reorder a line (C1, bidi controls, format characters, invalid bytes)
 * becomes U+FFFD. Placeholders are `odd` and shown in reverse video. Combining marks
 * are dropped: a cell holds one code point. */
#ifndef CLEAVE_FIGURE_CLEAN_H
#define CLEAVE_FIGURE_CLEAN_H
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

typedef struct Glyph {
    uint32_t rune[2];
    int n;     /* runes: 0 (dropped), 1, or 2 for ^X */
    int width; /* columns altogether; a tab is one blank of up to 8 */
    bool odd;  /* a placeholder */
} Glyph;

/* Decodes one glyph from s (n bytes left, n >= 1) that starts `col` columns into its
 * line (this matters to tabs) and returns the bytes it took. */
size_t glyph_next(const char *s, size_t n, int col, Glyph *g);
/* Columns of a text in one line; a newline counts as the placeholder ^J. */
int clean_width(const char *s);
/* Columns of the longest line of a text. */
int clean_extent(const char *s);
/* The first display line of s wrapped to `cols` columns: how many bytes to show (blanks
 * at the break are left out), its columns in *used, and in *skip how many bytes to go
 * on (0 at the end only). Breaks at newlines, after blanks, and inside a word that is
 * longer than a line. A glyph wider than cols is taken alone, so every call with s[0]
 * != 0 makes progress. */
size_t clean_line(const char *s, int cols, int *used, size_t *skip);
/* Appends n bytes with placeholders put in; newlines and tabs stay. For plain
 * printers. */
void clean_text(const char *s, size_t n, Str *out);
#endif
