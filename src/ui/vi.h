/* vi.h -- a small vi over an Edit: motions h j k l w b e 0 ^ $ gg G f t % with counts,
 * operators d c y, x D C s J r p P u Ctrl-R o O a A i I v and `.`. */
#ifndef CLEAVE_UI_VI_H
#define CLEAVE_UI_VI_H
#include "ui/edit.h"
#include "ui/key.h"

typedef struct Vi {
    bool insert;
    int count; /* being typed */
    Key op;    /* d, c or y that waits for a motion; 0: none */
    int op_count;
    Key wait;     /* f, t, F, T, r or g that waits for a character; 0: none */
    bool lines;   /* the last yank was of whole lines */
    Key last[24]; /* keys of the last change, for `.` */
    int n_last;
    Key now[24]; /* keys of the command being typed */
    int n_now;
    bool replaying;
} Vi;
void vi_start(Vi *v); /* in normal mode */
/* Takes a key in normal mode. false: it is none of vi's. */
bool vi_key(Vi *v, Edit *e, KillRing *k, Key key);
#endif
