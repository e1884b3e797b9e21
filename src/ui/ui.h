/* ui.h -- the viewer's state, shared by the panes and actions. It is what is seen of a
 * session: its document, made from the journal's events, and this viewer's own scroll
 * positions, filters and unfinished text. Requests leave through a Port; everything is
 * drawn into one grid, so a test needs neither terminal nor kernel. Inside ui/ only. */
#ifndef CLEAVE_UI_UI_H
#define CLEAVE_UI_UI_H
#include "kernel/document.h"
#include "lab/journal.h"
#include "ui/edit.h"
#include "ui/key.h"
#include "ui/layout.h"
#include "ui/menu.h"
#include "ui/paint.h"
#include "ui/textview.h"
#include "ui/vi.h"

/* The way to the kernel. send takes the request; receive gives replies, NULL: none. */
typedef struct Port {
    void *self;
    bool (*send)(void *self, json_t *taken_request, int64_t *id, Err *err);
    json_t *(*receive)(void *self, Err *err);
    const char *session; /* how to come back: its name */
    bool read_only;
} Port;

typedef struct Ui Ui;
/* Scopes of keys: where they mean something. */
enum {
    S_NOTEBOOK = 1 << PANE_NOTEBOOK,
    S_LOG = 1 << PANE_LOG,
    S_RUNS = 1 << PANE_RUNS,
    S_IMAGES = 1 << PANE_IMAGES,
    S_PLOTS = 1 << PANE_PLOTS,
    S_VARS = 1 << PANE_VARS,
    S_HELP = 1 << PANE_HELP,
    S_COMPONENTS = 1 << PANE_COMPONENTS,
    S_CONTROLS = 1 << PANE_CONTROLS,
    S_PICTURES = S_IMAGES | S_COMPONENTS | S_CONTROLS, /* they draw pictures */
    S_PANES = (1 << PANE_COUNT) - 1, /* command mode, whatever the pane */
    S_EDIT = 1 << PANE_COUNT,        /* the text of a cell */
    S_PROMPT = 2 << PANE_COUNT,      /* the line at the bottom */
    S_TEXT = S_EDIT | S_PROMPT,
    S_ANY = S_PANES | S_TEXT,
};
/* One key, command or both. `keys`: names as in ui/key.h, alternatives behind blanks;
 * "": none, it is a command only. `args`: what may follow its name on the command line;
 * NULL: it is of no use there. */
typedef struct KeyRow {
    unsigned scope;
    const char *keys, *name, *args, *doc;
    void (*run)(Ui *u, const char *arg);
} KeyRow;
extern const KeyRow key_rows[];
extern const int key_n_rows;
/* Looks a chord up. NULL with *more: a longer one begins so. */
const KeyRow *keys_find(unsigned scope, const Key *k, int n, bool *more);
const KeyRow *keys_command(const char *name, size_t n); /* by name; NULL: none */
const char *keys_scope_name(unsigned scope);

/* A pane is a constant record of functions over its state. Any but make, free, draw may
 * be NULL. */
typedef struct PaneRow {
    const char *name, *tab;
    void *(*make)(Ui *u, Err *err);
    void (*free)(void *state);
    void (*event)(Ui *u, const json_t *event); /* after document_apply() */
    void (*draw)(Ui *u, Area a, bool focus);
    void (*title)(Ui *u, Str *out);   /* behind the name, on its rule */
    void (*scroll)(Ui *u, int lines); /* INT_MAX: to the end */
    void (*select)(Ui *u, int steps); /* rows, cells, images */
    bool (*find)(Ui *u, const char *text, int step);
    void (*filter)(Ui *u, const char *text);
    bool (*copy)(Ui *u, Str *out);
    void (*shown)(Ui *u); /* it became visible, or a second passed
                                                  while the session is busy */
} PaneRow;
extern const PaneRow pane_notebook, pane_log, pane_runs, pane_images, pane_plots,
    pane_vars, pane_help, pane_components, pane_controls;
extern const PaneRow *const pane_rows[PANE_COUNT];

typedef void (*ReplyFn)(Ui *u, const json_t *ok, int64_t tag);
typedef struct Waiting {
    int64_t id; /* 0: free */
    ReplyFn done;
    int64_t tag;
} Waiting;

typedef enum PromptKind {
    PROMPT_NONE,
    PROMPT_COMMAND,
    PROMPT_FIND,
    PROMPT_FILTER
} PromptKind;
enum { MAX_WAITING = 32, HISTORY = 50, MAX_HELD = 256 };

struct Ui {
    Port port;
    JournalReader *reader;
    Document *doc;
    void *pane[PANE_COUNT];
    Painter paint;
    Grid grid;
    DrawStyle draw;       /* for figures; width is set where one is drawn */
    int style_changes;    /* how often it was changed */
    const char *terminal; /* what the screen is, for the status bar: "256c" */
    const char *trouble;  /* why it is less than it could be; NULL: it is not */
    Layout layout;
    PaneId focus, main;
    bool zoomed;
    bool vi, highlight, line_numbers, mouse;
    char file[64]; /* the notebook's name, without folders */

    int sel;       /* selected cell's id, 0: there is none */
    int sel_index; /* where it was last */
    bool editing;
    int edit_cell;
    int64_t edit_rev;
    Edit edit;
    bool edit_touched; /* differs from the cell's text */
    bool draft_due;
    double draft_at;
    int64_t drafted; /* edit.changes when the draft was sent */
    Vi vi_state;
    KillRing kills;
    char *clip; /* a cut or copied cell's text, and its type */
    CellType clip_type;

    PromptKind prompt;
    Edit line;
    char *history[HISTORY];
    int n_history, at_history;
    char *find_text; /* last search */
    Menu menu;
    TextView popup; /* a text over the panes */
    bool popup_open;
    char *question; /* asked in the last line; NULL: none */
    void (*if_yes)(Ui *u);
    Completion comp;

    Key chord[KEY_CHORD];
    int n_chord;
    char message[512];
    Role message_role;
    Waiting waiting[MAX_WAITING];
    int64_t hold_for;  /* keys wait for this request's reply; 0: they do not */
    double hold_until; /* at most so long */
    KeyEvent held[MAX_HELD];
    int n_held;
    bool still;         /* no times are shown: every dump of a test is the same */
    double now;         /* monotonic, set by the loop */
    double wall;        /* unix, of the same moment */
    double ticked;      /* when what shows times was last brought up to date */
    double interrupted; /* when an interrupt was asked for; 0: none */
    bool offered_kill;
    double stop_since;

    int cursor_row, cursor_col; /* -1: hidden */
    bool dirty;                 /* the screen is not what it should be */
    bool ended;                 /* the session is over: nothing to come back to */
    const char *next_file;      /* to open after leaving; NULL: none */
    bool leave, suspend, redraw, mouse_changed;
    char *editor_file; /* $EDITOR wanted on this file */
    int editor_cell;
    Str to_clipboard;    /* for the terminal; empty: nothing */
    int awaited;         /* a cell that a reply named and no event brought yet */
    bool edit_awaited;   /* it is to be edited then */
    char not_found[200]; /* what to say when nothing is found */
    bool reopen;         /* start the kernel again */
    bool lost;           /* the kernel is gone */
    char why_lost[512];
};

/* --- app.c ------------------------------------------------------------------------ */
bool ui_init(Ui *u, const Port *port, JournalReader *borrowed, Document *borrowed_doc,
             const DrawStyle *draw, Err *err);
void ui_done(Ui *u);
bool ui_resize(Ui *u, int rows, int cols, Err *err);
void ui_event(Ui *u, const json_t *event); /* one event of the journal */
void ui_reply(Ui *u, const json_t *reply);
void ui_key(Ui *u, const KeyEvent *k);
void ui_draw(Ui *u);   /* chrome.c */
void ui_layout(Ui *u); /* for the size and what there is to show */
/* Seconds until something is to be done without an event; < 0: never. */
double ui_timeout(const Ui *u);
void ui_tick(Ui *u); /* called when that time is over */

void ui_say(Ui *u, Role role, const char *fmt, ...) ATTR_PRINTF(3, 4);
void ui_wrote(Ui *u, const char *path); /* says where a file is */
void ui_request(Ui *u, json_t *taken, ReplyFn done, int64_t tag);
/* The same for a request after which keys mean something else: those that come before
 * its reply (and the cell it makes) are kept. */
void ui_request_first(Ui *u, json_t *taken, ReplyFn done, int64_t tag);
void ui_release(Ui *u); /* keys that need not wait any longer */
void ui_focus(Ui *u, PaneId pane);
void ui_ask(Ui *u, void (*if_yes)(Ui *), const char *fmt, ...) ATTR_PRINTF(3, 4);
void ui_set_theme(Ui *u, const Theme *t);
void ui_run_command(Ui *u, const char *line);
void ui_prompt(Ui *u, PromptKind kind, const char *text);
void ui_popup(Ui *u, const char *title, const char *text);
bool ui_pane_visible(const Ui *u, PaneId pane);
/* Where the popup, menu and completion list go. */
Area ui_body(const Ui *u);

/* --- the notebook ----------------------------------------------------------------- */
Cell *ui_cell(const Ui *u); /* the selected one; NULL: none */
void ui_select(Ui *u, int id);
void ui_awaited(Ui *u);               /* selects u->awaited once it is there */
void notebook_changed(Ui *u, int id); /* draw this cell anew; 0: all */
void notebook_expect(Ui *u, int id, const char *text); /* shown until it comes back */
void notebook_fold(Ui *u, int id, int source, int output); /* -1: toggle, 0, 1 */
void edit_begin(Ui *u, int id);
void edit_conflict(Ui *u, int id, const char *msg); /* its text changed elsewhere */
void edit_send_draft(Ui *u);
void edit_keep(Ui *u);                  /* as a draft, at once: the viewer ends */
void edit_changed(Ui *u);               /* something may have changed the text */
bool edit_vi(Ui *u, const KeyEvent *k); /* true: vi took it */
void prompt_changed(Ui *u);
void help_to_pane(Ui *u); /* what the popup shows */
void log_read(Ui *u);     /* a piece of text that waits */
bool log_behind(const Ui *u);
bool images_any(const Ui *u);
bool components_any(const Ui *u);
bool controls_any(const Ui *u);
bool controls_wait(const Ui *u); /* for a picture that was asked for */
bool pane_in_use(const Ui *u, PaneId pane); /* of the last panes: there is something */
bool runs_any(const Ui *u);  /* or metrics */
int runs_watch(Ui *u);       /* a descriptor to poll; -1: none */
void runs_announced(Ui *u);  /* it is readable */
bool runs_live(const Ui *u); /* a shown run may change by itself */
bool images_live(const Ui *u); /* the same of a run whose pictures are shown */
void edit_commit(Ui *u);     /* sends the text; stays in edit mode */
void edit_leave(Ui *u);
void edit_input(Ui *u, const KeyEvent *k);               /* no row took it */
void edit_apply_file(Ui *u, int cell, const char *text); /* back from $EDITOR */
void complete_ask(Ui *u);
void complete_update(Ui *u);     /* the text changed */
bool complete_key(Ui *u, Key k); /* true: taken */
void complete_draw(Ui *u, int row, int col);
void complete_close(Ui *u);
void inspect_ask(Ui *u, const char *name, const char *otherwise); /* in the popup */
void help_show(Ui *u, const char *name); /* in the popup; says so when there is none */
void palette_open(Ui *u, unsigned scope, const char *filter);
void history_open(Ui *u);
/* What a search finds: case does not matter while the text has none. */
bool text_has(const char *s, size_t n, const char *what);
#endif
