/* menu.h -- a list to choose from over the panes, narrowed by typing; and the list of
 * completions at the cursor. Both own their items. */
#ifndef CLEAVE_UI_MENU_H
#define CLEAVE_UI_MENU_H
#include "ui/edit.h"
#include "ui/key.h"
#include "ui/paint.h"

typedef struct MenuItem {
    char *left, *right, *text; /* key or name; what it does; what choosing it means */
    int row;                   /* for the one who opened it */
    int score;                 /* of the filter; 0: hidden */
} MenuItem;
typedef struct Menu {
    bool open;
    char *title;
    MenuItem *item;
    int n, cap;
    int *shown; /* [n_shown] indices, best first */
    int n_shown;
    int sel, top, rows;
    Edit filter;
    void *owner;
    void (*pick)(void *owner, const MenuItem *item);
} Menu;
bool menu_open(Menu *m, const char *title, const char *filter, void *owner,
               void (*pick)(void *owner, const MenuItem *item), Err *err);
bool menu_add(Menu *m, const char *left, const char *right, const char *text, int row,
              Err *err);
void menu_ready(Menu *m); /* after the last menu_add() */
void menu_close(Menu *m); /* zeroed is fine */
void menu_key(Menu *m, const KeyEvent *k);
/* Draws it into the middle of the area; where the cursor goes in *row, *col. */
void menu_draw(Menu *m, const Painter *p, Area a, int *row, int *col);

typedef struct CompItem {
    char *text, *kind, *doc;
} CompItem;
typedef struct Completion {
    bool open;
    CompItem *item;
    int n;
    int sel;                 /* -1: none taken yet */
    size_t from;             /* byte where the word begins */
    int64_t id;              /* of the request that is awaited; 0: none */
    int64_t changes;         /* of the text it was asked for */
    bool stale, cut, wanted; /* wanted: by a key, not by typing */
} Completion;
#endif
