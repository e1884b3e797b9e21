/* edit.h -- a text being edited: bytes of UTF-8, a cursor, a region, undo in groups and
 * a ring of killed text. Positions are bytes at code point boundaries. Nothing here
 * knows keys or a screen. What cannot be done for lack of memory is not done, and `oom`
 * stays set. An Edit owns its text; a KillRing is shared between editors. */
#ifndef CLEAVE_UI_EDIT_H
#define CLEAVE_UI_EDIT_H
#include "base/str.h"

enum { KILL_RING = 16 };
typedef struct KillRing {
    char *item[KILL_RING]; /* newest at `top` */
    int n, top, at;        /* at: how far back the last yank looked */
} KillRing;
void kill_ring_done(KillRing *k);
/* join: -1 in front of, 1 behind the newest, 0 as a new one. */
void kill_ring_put(KillRing *k, const char *s, size_t n, int join);
const char *kill_ring_top(const KillRing *k); /* "": empty */

typedef enum Motion {
    GO_LEFT,
    GO_RIGHT,
    GO_UP,
    GO_DOWN,
    GO_LINE_START,
    GO_LINE_END,
    GO_TEXT_START, /* first character of the line that is no blank */
    GO_WORD_LEFT,
    GO_WORD_RIGHT, /* behind the word */
    GO_NEXT_WORD,  /* to the next word's start */
    GO_WORD_END,   /* onto the word's last character */
    GO_START,
    GO_END,
} Motion;

typedef enum EditKind { DID_OTHER, DID_TYPE, DID_KILL, DID_YANK, DID_DELETE } EditKind;
typedef struct EditChange {
    size_t at;
    char *gone; /* NUL-terminated */
    size_t n_gone, n_new;
    int group;
    size_t cursor; /* before */
} EditChange;
typedef struct Edit {
    char *s; /* never NULL after edit_init(); NUL-terminated */
    size_t len, cap;
    size_t cursor, mark;
    bool marking;  /* the region is between mark and cursor */
    int goal;      /* column that up and down aim for; -1: the cursor's */
    bool one_line; /* newlines become blanks */
    bool oom;
    int64_t changes; /* counts every change, undone ones too */
    EditChange *undo;
    int n_undo, cap_undo, redo; /* undo[0..n_undo-redo) can be undone */
    int group;
    EditKind did;
    size_t yank_from; /* start of the text of the last yank */
} Edit;

bool edit_init(Edit *e, const char *text, bool one_line, Err *err);
void edit_done(Edit *e); /* zeroed is fine */
/* A new text with the cursor at its end; nothing to undo. */
void edit_set(Edit *e, const char *text);
/* Replaces bytes [from, to) by n bytes; the cursor goes behind them. All changes
 * between two calls of edit_group() are undone at once. */
void edit_replace(Edit *e, size_t from, size_t to, const char *s, size_t n);
void edit_group(Edit *e);
/* Typed text: joins the undo group of typing before it, up to a blank. */
void edit_type(Edit *e, const char *s, size_t n);
/* Pasted text: as it is, one undo group, the region replaced. */
void edit_paste(Edit *e, const char *s, size_t n);
/* A new line that is indented as Lua's blocks say. */
void edit_newline(Edit *e);
/* After typing: a line that now only holds `end`, `else`, `until`, `}` ... moves left. */
void edit_outdent_closer(Edit *e);
/* Moves the current line, or the lines of the region, by two blanks. */
void edit_indent(Edit *e, int steps);
/* Whether there are only blanks before the cursor on its line. */
bool edit_at_indent(const Edit *e);

size_t edit_target(Edit *e, Motion m, int count); /* where it leads */
/* false: the cursor is there already. */
bool edit_move(Edit *e, Motion m, int count);
void edit_go(Edit *e, size_t pos);
void edit_backspace(Edit *e);
void edit_delete(Edit *e);
/* Kills from the cursor to the target; kills in a row are one item. */
void edit_kill(Edit *e, KillRing *k, Motion m);
void edit_kill_line(Edit *e, KillRing *k); /* to the end; at the end: the newline */
void edit_kill_region(Edit *e, KillRing *k, bool keep);
void edit_yank(Edit *e, const KillRing *k);
void edit_yank_older(Edit *e, KillRing *k); /* right after a yank */
void edit_set_mark(Edit *e);
bool edit_region(const Edit *e, size_t *from, size_t *to); /* false: empty */
bool edit_undo(Edit *e);
bool edit_redo(Edit *e);
void edit_transpose(Edit *e);

/* Start of the line that holds pos; its end (at the newline). */
size_t edit_line_start(const Edit *e, size_t pos);
size_t edit_line_end(const Edit *e, size_t pos);
int edit_line_number(const Edit *e, size_t pos); /* from 0 */
int edit_column(const Edit *e, size_t pos);      /* in columns */
/* The bracket or block word that belongs to the one at or right before the cursor, in
 * *a and its partner in *b, both [from, to); false: none. */
bool edit_match(const Edit *e, size_t a[2], size_t b[2]);
/* The dotted name at or before pos. */
void edit_word(const Edit *e, size_t pos, size_t *from, size_t *to);
#endif
