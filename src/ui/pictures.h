/* pictures.h -- figures that came as events, kept by the panes that show one of them at
 * a time, and what panes of galleries share: finding the next of a name, the figure of
 * an event, a page of images that fits. Inside ui/ only. */
#ifndef CLEAVE_UI_PICTURES_H
#define CLEAVE_UI_PICTURES_H
#include <jansson.h>

#include "figure/figure.h"
#include "lab/journal.h"

typedef struct Picture {
    json_t *event;
    char *dir; /* of its journal */
} Picture;
typedef struct Pictures {
    Picture *pic;
    int n, cap;
} Pictures;

/* Appends one; *dropped (may be NULL): the oldest had to go, numbers fall by one. false:
 * out of memory. */
bool pictures_add(Pictures *p, const json_t *event, const char *dir, bool *dropped);
void pictures_drop(Pictures *p, int i); /* 0 <= i < n */
void pictures_done(Pictures *p);
/* The figure `step` away from `at`, with the same name if asked for; -1: there is none.
 */
int pictures_step(const Pictures *p, int at, int step, bool same_name);
/* The next from `at` on in steps whose title or name has the text; -1: none. */
int pictures_find(const Pictures *p, int at, int step, const char *text);
/* What a view at `at` does when the event comes, before it is added. */
typedef enum Follow {
    FOLLOW_NOT,  /* stays: it looks at something earlier, or at another series */
    FOLLOW_SAME, /* the figure was made again: the same place in the new one */
    FOLLOW_NEW,  /* shows it */
} Follow;
/* newest: the view is at the last figure of all, where new ones are shown. */
Follow pictures_follow(const Pictures *p, int at, bool newest, const json_t *event);
const char *picture_name(const Picture *p);  /* "" where it was shown without one */
const char *picture_title(const Picture *p); /* title, else name, else id */
bool picture_is(const Picture *p, FigKind kind);

/* The figure of the picture looked at last. */
typedef struct Loaded {
    json_t *event;
    Figure *figure;
} Loaded;
/* NULL and *err when it cannot be read; then it is tried again. */
const Figure *loaded_get(Loaded *l, const Picture *p, Err *err);
void loaded_done(Loaded *l);

/* A place in a gallery: images come in groups of `group` (1 or more) that stay together
 * in a row; the selected one is marked. */
typedef struct Gallery {
    int group;
    int selected, first; /* groups; the first one of the page */
    int on_page, per_row;
} Gallery;
/* Draws the page with the selected group, as many whole rows as fit. */
bool gallery_draw(const Figure *f, const DrawStyle *style, int rows, Gallery *g,
                  Grid *out, Err *err);
/* The page before or behind, by = -1 or 1; false: there is none. */
bool gallery_page(Gallery *g, int n_groups, int by);
/* The largest |value| of a gallery, infinite ones aside. */
double figure_largest(const Figure *f);
/* "name.png" in file-name letters where no path was given. */
void picture_path(const char *given, const char *name, char *dst, size_t cap);
#endif
