/* names.c -- which names a cell reads and assigns, found by walking its tokens with a
 * stack of blocks, and which cells that makes stale. No parser: a statement begins
 * where an operand follows an operand, or at a word that only begins statements. What
 * this cannot see (a method that changes its object) makes no cell stale. */
#include <string.h>

#include "base/mem.h"
#include "kernel/document.h"
#include "lab/jval.h"
#include "script/lualex.h"

enum { BLOCKS_MAX = 200 };

typedef struct Scan {
    Lex l;
    Lex prev;                  /* the token before; LEX_END at the start */
    json_t *block[BLOCKS_MAX]; /* names local to each open block, outermost first */
    int base[BLOCKS_MAX];      /* brackets that were open where the block began */
    int n_blocks;
    json_t *next; /* names of the block that is about to open (for, function) */
    json_t *pending[BLOCKS_MAX + 1]; /* of each level, declared with values: known when
                                        the statement is over */
    char bracket[BLOCKS_MAX];
    int n_brackets;
    json_t *reads, *assigns;
    bool ok;
} Scan;

static void add_name(Scan *s, json_t *set, const Lex *l)
{
    char name[128];
    size_t n = l->to - l->from;
    if (n >= sizeof name)
        return;
    memcpy(name, l->s + l->from, n);
    name[n] = '\0';
    s->ok = s->ok && set && json_object_set_new(set, name, json_true()) == 0;
}

static bool in_set(const json_t *set, const Lex *l)
{
    char name[128];
    size_t n = l->to - l->from;
    if (!set || n >= sizeof name)
        return false;
    memcpy(name, l->s + l->from, n);
    name[n] = '\0';
    return json_object_get(set, name) != NULL;
}

static bool is_local(const Scan *s, const Lex *l)
{
    for (int i = 0; i < s->n_blocks; i++) {
        if (in_set(s->block[i], l))
            return true;
    }
    return false;
}

static void open_block(Scan *s)
{
    if (s->n_blocks == BLOCKS_MAX) {
        s->ok = false;
        return;
    }
    s->base[s->n_blocks] = s->n_brackets;
    s->block[s->n_blocks++] = s->next ? s->next : json_object();
    s->next = NULL;
}

static void close_block(Scan *s)
{
    if (s->n_blocks == 0)
        return;
    json_object_clear(s->pending[s->n_blocks]);
    json_decref(s->block[--s->n_blocks]);
}

/* Outside all brackets of the innermost block: where statements are. */
static bool at_statements(const Scan *s)
{
    return s->n_brackets == (s->n_blocks ? s->base[s->n_blocks - 1] : 0);
}

/* Declares a name in the innermost block; at the top it is a global of the notebook. */
static void declare(Scan *s, const Lex *l)
{
    add_name(s, s->n_blocks ? s->block[s->n_blocks - 1] : s->assigns, l);
}

static void settle_pending(Scan *s)
{
    const char *name;
    json_t *v;
    json_t *into = s->n_blocks ? s->block[s->n_blocks - 1] : s->assigns;
    json_object_foreach(s->pending[s->n_blocks], name, v)
    {
        s->ok = s->ok && json_object_set(into, name, v) == 0;
    }
    json_object_clear(s->pending[s->n_blocks]);
}

/* --- statements ------------------------------------------------------------------- */

static bool advance(Scan *s)
{
    s->prev = s->l;
    return lex_next_code(&s->l);
}

/* "function" and what belongs to it up to its parameters' end; the body is a block. */
static void on_function(Scan *s, bool statement, bool local)
{
    Lex name = {0};
    bool method = false, path = false;
    advance(s);
    if (s->l.kind == LEX_NAME) {
        name = s->l;
        while (advance(s) && (lex_is(&s->l, ".") || lex_is(&s->l, ":"))) {
            path = true;
            method = lex_is(&s->l, ":");
            advance(s);
        }
    }
    if (local) {
        declare(s, &name);
    } else if (statement && name.kind == LEX_NAME && !is_local(s, &name)) {
        add_name(s, s->assigns, &name);
        if (path)
            add_name(s, s->reads, &name);
    }
    s->next = json_object();
    if (method && s->next)
        s->ok = s->ok && json_object_set_new(s->next, "self", json_true()) == 0;
    if (lex_is(&s->l, "(")) {
        while (advance(s) && !lex_is(&s->l, ")")) {
            if (s->l.kind == LEX_NAME)
                add_name(s, s->next, &s->l);
        }
    }
    open_block(s);
}

/* "local a <const>, b [= ...]"; the current token is the word. */
static void on_local(Scan *s)
{
    Lex ahead = s->l;
    if (!s->pending[s->n_blocks])
        s->pending[s->n_blocks] = json_object();
    if (lex_next_code(&ahead) && lex_is(&ahead, "function")) {
        advance(s);
        on_function(s, true, true);
        return;
    }
    for (;;) {
        if (ahead.kind != LEX_NAME)
            break;
        add_name(s, s->pending[s->n_blocks], &ahead);
        advance(s);
        lex_next_code(&ahead);
        if (lex_is(&ahead, "<")) { /* an attribute */
            for (int i = 0; i < 3; i++) {
                advance(s);
                lex_next_code(&ahead);
            }
        }
        if (!lex_is(&ahead, ","))
            break;
        advance(s);
        lex_next_code(&ahead);
    }
    if (!lex_is(&ahead, "="))
        settle_pending(s);
}

/* "for a, b in" or "for a =": names of the block that `do` opens. */
static void on_for(Scan *s)
{
    Lex ahead = s->l;
    json_decref(s->next);
    s->next = json_object();
    while (lex_next_code(&ahead) && (ahead.kind == LEX_NAME || lex_is(&ahead, ","))) {
        if (ahead.kind == LEX_NAME)
            add_name(s, s->next, &ahead);
        advance(s);
    }
}

/* Whether a list "a, b.c, d[1] =" begins at the current name. */
static bool assigns_here(const Scan *s)
{
    Lex l = s->l;
    int depth = 0;
    bool first = true;
    while (lex_next_code(&l)) {
        if (lex_is(&l, "(") || lex_is(&l, "[") || lex_is(&l, "{"))
            depth++;
        else if (lex_is(&l, ")") || lex_is(&l, "]") || lex_is(&l, "}"))
            depth--;
        else if (depth == 0 && lex_is(&l, "="))
            return true;
        else if (depth == 0 && lex_is(&l, ","))
            first = false;
        else if (depth == 0 && l.kind != LEX_NAME && !lex_is(&l, ".") &&
                 !lex_is(&l, ":"))
            return false;
        else if (depth == 0 && l.kind == LEX_NAME && l.s[l.from - 1] != '.' && first)
            return false;
        if (depth < 0)
            return false;
    }
    return false;
}

static bool ends_operand(const Lex *l)
{
    static const char *const words[] = {"end", "nil", "true", "false"};
    static const char *const marks[] = {")", "]", "}", "..."};
    if (l->kind == LEX_NAME || l->kind == LEX_NUMBER || l->kind == LEX_STRING)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (l->kind == LEX_KEYWORD ? lex_is(l, words[i])
                                   : l->kind == LEX_OP && lex_is(l, marks[i]))
            return true;
    }
    return false;
}

static bool begins_statement(const Scan *s)
{
    static const char *const before[] = {"then", "do", "else", "repeat", ";", "::"};
    if (s->prev.kind == LEX_END || ends_operand(&s->prev))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        if (lex_is(&s->prev, before[i]))
            return true;
    }
    return false;
}

/* A field's name in a table, a member behind a dot, a label. */
static bool is_no_variable(const Scan *s)
{
    Lex ahead = s->l;
    if (lex_is(&s->prev, ".") || lex_is(&s->prev, ":") || lex_is(&s->prev, "goto"))
        return true;
    if (lex_is(&s->prev, "::") && lex_next_code(&ahead) && lex_is(&ahead, "::"))
        return true;
    ahead = s->l;
    bool in_table = s->n_brackets > 0 && s->bracket[s->n_brackets - 1] == '{';
    bool at_field =
        lex_is(&s->prev, "{") || lex_is(&s->prev, ",") || lex_is(&s->prev, ";");
    return in_table && at_field && lex_next_code(&ahead) && lex_is(&ahead, "=");
}

static void on_name(Scan *s, bool *in_list)
{
    bool statement = at_statements(s) && begins_statement(s);
    if (is_no_variable(s))
        return;
    if (statement) {
        settle_pending(s);
        *in_list = assigns_here(s);
    }
    bool target = *in_list && at_statements(s) && (statement || lex_is(&s->prev, ","));
    if (is_local(s, &s->l))
        return;
    Lex ahead = s->l;
    bool bare = lex_next_code(&ahead) && (lex_is(&ahead, "=") || lex_is(&ahead, ","));
    if (target)
        add_name(s, s->assigns, &s->l);
    if (!target || !bare)
        add_name(s, s->reads, &s->l);
}

static void on_keyword(Scan *s)
{
    static const char *const starts[] = {"local",  "if",     "for",   "while", "do",
                                         "repeat", "return", "break", "goto",  "end",
                                         "else",   "elseif", "until"};
    bool statement = at_statements(s) && begins_statement(s);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        if (lex_is(&s->l, starts[i]))
            settle_pending(s);
    }
    if (lex_is(&s->l, "function")) {
        if (statement)
            settle_pending(s);
        on_function(s, statement, false);
    } else if (lex_is(&s->l, "local")) {
        on_local(s);
    } else if (lex_is(&s->l, "for")) {
        on_for(s);
    } else if (lex_is(&s->l, "do") || lex_is(&s->l, "then") ||
               lex_is(&s->l, "repeat")) {
        open_block(s);
    } else if (lex_is(&s->l, "else")) {
        close_block(s);
        open_block(s);
    } else if (lex_is(&s->l, "elseif") || lex_is(&s->l, "end") ||
               lex_is(&s->l, "until")) {
        close_block(s);
    }
}

static void on_operator(Scan *s, bool *in_list)
{
    char c = s->l.s[s->l.from];
    bool one = s->l.to - s->l.from == 1;
    if (one && strchr("([{", c)) {
        if (s->n_brackets < BLOCKS_MAX)
            s->bracket[s->n_brackets++] = c;
        else
            s->ok = false;
    } else if (one && strchr(")]}", c)) {
        s->n_brackets -= s->n_brackets > 0;
    } else if (one && c == '=' && at_statements(s)) {
        *in_list = false;
    } else if (one && c == ';') {
        settle_pending(s);
    }
}

bool names_of(const char *text, size_t n, json_t *reads, json_t *assigns, Err *err)
{
    Scan *s = mem_zalloc(sizeof *s, err);
    bool in_list = false;
    if (!s)
        return false;
    s->reads = reads;
    s->assigns = assigns;
    s->ok = true;
    lex_start(&s->l, text, n);
    if (n > 0 && text[0] == '#')
        s->l.pos = strcspn(text, "\n");
    while (s->ok && advance(s)) {
        if (s->l.kind == LEX_NAME)
            on_name(s, &in_list);
        else if (s->l.kind == LEX_KEYWORD)
            on_keyword(s);
        else if (s->l.kind == LEX_OP)
            on_operator(s, &in_list);
    }
    settle_pending(s);
    while (s->n_blocks > 0)
        close_block(s);
    json_decref(s->next);
    for (int i = 0; i <= BLOCKS_MAX; i++)
        json_decref(s->pending[i]);
    mem_free(s);
    /* a text nested beyond all reason has no names, which marks nothing */
    return true;
}

/* --- staleness -------------------------------------------------------------------- */

/* For each name the cell whose assignment is the newest. */
static json_t *newest_assignments(const Document *d)
{
    json_t *newest = json_object();
    for (int i = 0; newest && i < d->n; i++) {
        const char *name;
        json_t *v;
        const Cell *c = d->cell[i];
        if (c->exec == 0)
            continue;
        json_object_foreach(c->assigns, name, v)
        {
            json_t *had = json_object_get(newest, name);
            if (!had || d->cell[json_integer_value(had)]->exec < c->exec)
                json_object_set_new(newest, name, json_integer(i));
        }
    }
    return newest;
}

static bool reads_something_newer(const Document *d, const Cell *c,
                                  const json_t *newest)
{
    const char *name;
    json_t *v;
    json_object_foreach(c->reads, name, v)
    {
        json_t *by = json_object_get(newest, name);
        const Cell *other = by ? d->cell[json_integer_value(by)] : NULL;
        if (other && other != c && (other->exec > c->exec || other->stale))
            return true;
    }
    return false;
}

void document_mark_stale(Document *d)
{
    json_t *newest = newest_assignments(d);
    for (int i = 0; i < d->n; i++)
        d->cell[i]->stale = d->cell[i]->exec > 0 && d->cell[i]->edited;
    for (bool changed = true; changed && newest;) {
        changed = false;
        for (int i = 0; i < d->n; i++) {
            Cell *c = d->cell[i];
            if (c->exec > 0 && !c->stale && reads_something_newer(d, c, newest))
                c->stale = changed = true;
        }
    }
    json_decref(newest);
}
