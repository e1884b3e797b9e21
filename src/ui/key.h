/* key.h -- one key press as one number: a code point, or a K_ code for keys without
 * one, with modifier bits. Names are written as in "<C-x>s": a chord of Ctrl-X and s;
 * "<Enter>", "<S-Tab>", "<A-b>", "<F5>", "<Space>", "<lt>" and "<gt>" for the angle
 * brackets. */
#ifndef CLEAVE_UI_KEY_H
#define CLEAVE_UI_KEY_H
#include <stdint.h>

#include "base/str.h"

typedef uint32_t Key;
enum {
    K_NONE = 0,
    K_FIRST = 0x110000, /* beyond Unicode */
    K_ENTER = K_FIRST,
    K_ESC,
    K_TAB,
    K_BACKSPACE,
    K_DELETE,
    K_INSERT,
    K_UP,
    K_DOWN,
    K_LEFT,
    K_RIGHT,
    K_HOME,
    K_END,
    K_PGUP,
    K_PGDN,
    K_F1,
    K_F12 = K_F1 + 11,
    K_PASTE, /* the text is beside it */
    K_MOUSE, /* the place is beside it */
    K_CTRL = 1 << 24,
    K_ALT = 1 << 25,
    K_SHIFT = 1 << 26,
};
enum { KEY_CHORD = 4 };

/* What a terminal delivers at once. */
typedef struct KeyEvent {
    Key key;          /* K_NONE: nothing */
    const char *text; /* of K_PASTE; valid until the next is read */
    size_t n;
    int row, col; /* of K_MOUSE */
    int wheel;    /* -1 up, 1 down, 0 a click */
} KeyEvent;

/* Reads one key from *s and moves on; false when it is no name of a key. */
bool key_parse(const char **s, Key *k);
/* As people write it: "Ctrl-X", "Shift-Tab", "F5", "j". */
void key_show(Key k, Str *out);
/* A whole chord or list of chords, as in a table: "dd", "F6 Shift-Enter". */
void key_show_all(const char *names, Str *out);
/* Whether it puts a character into a text. */
bool key_is_text(Key k);
#endif
