/* pickle.c -- the machine. Every opcode adds at most one value and one stack entry, and
 * memo numbers are bounded by the length of the pickle, so time and memory are linear
 * in it. Invariant: marks hold stack heights in ascending order, none above `n`. */
#include "tensor/pickle.h"

#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/str.h"

enum { POLL_OPS = 1 << 16, MAX_ARG = 4096 };

typedef struct Stack {
    void **at;
    size_t n, cap;
} Stack;

typedef struct Machine {
    const uint8_t *p, *end;
    size_t most_memo;
    const char *name; /* of the file */
    Arena *arena;
    Stack stack, memo; /* of PickleValue */
    Stack marks;       /* of heights, as pointers into nothing */
    const PickleValue *storages;
    bool stopped;
    Err *err;
} Machine;

static bool fail(Machine *m, const char *why)
{
    return err_set(m->err, ERR_FORMAT, "'%s': damaged pickle: %s", m->name, why);
}

static bool stack_push(Machine *m, Stack *s, void *p)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        void **grown = mem_realloc(s->at, cap * sizeof *grown, m->err);
        if (!grown)
            return false;
        s->at = grown;
        s->cap = cap;
    }
    s->at[s->n++] = p;
    return true;
}

static PickleValue *value_new(Machine *m, PickleKind kind)
{
    PickleValue *v = arena_alloc(m->arena, sizeof *v, m->err);
    if (v)
        v->kind = kind;
    return v;
}

/* Puts it on the stack; NULL passes a failure on. */
static bool push(Machine *m, PickleValue *v)
{
    return v && stack_push(m, &m->stack, v);
}

/* The height that values may be taken down to. */
static size_t floor_of(const Machine *m)
{
    return m->marks.n ? (size_t)(uintptr_t)m->marks.at[m->marks.n - 1] : 0;
}

static PickleValue *pop(Machine *m)
{
    if (m->stack.n <= floor_of(m)) {
        fail(m, "the stack is empty");
        return NULL;
    }
    return m->stack.at[--m->stack.n];
}

static PickleValue *top(Machine *m)
{
    PickleValue *v = pop(m);
    m->stack.n += v != NULL;
    return v;
}

/* Bytes of the program, n of them; NULL at its end. */
static const uint8_t *take(Machine *m, uint64_t n)
{
    if (n > (size_t)(m->end - m->p)) {
        fail(m, "it ends inside an instruction");
        return NULL;
    }
    m->p += n;
    return m->p - n;
}

static bool take_uint(Machine *m, int bytes, uint64_t *out)
{
    const uint8_t *b = take(m, (uint64_t)bytes);
    *out = 0;
    for (int i = 0; b && i < bytes; i++)
        *out |= (uint64_t)b[i] << 8 * i;
    return b != NULL;
}

/* ---- containers ------------------------------------------------------------------ */

static bool append(Machine *m, PickleValue *v, void **items, size_t n)
{
    if (v->cap - v->n < n) {
        size_t cap = v->n + n > 2 * v->cap ? v->n + n : 2 * v->cap;
        PickleValue **grown = arena_alloc(m->arena, cap * sizeof *grown, m->err);
        if (!grown)
            return false;
        if (v->n)
            memcpy(grown, v->item, v->n * sizeof *grown);
        v->item = grown;
        v->cap = cap;
    }
    memcpy(v->item + v->n, items, n * sizeof *items);
    v->n += n;
    return true;
}

/* A container of everything above height `from`, put in its place. */
static bool gather(Machine *m, PickleKind kind, size_t from)
{
    PickleValue *v = value_new(m, kind);
    size_t n = m->stack.n - from;
    if (!v || (n && !append(m, v, m->stack.at + from, n)))
        return false;
    m->stack.n = from;
    return push(m, v);
}

/* Takes the last mark away; its height. */
static bool pop_mark(Machine *m, size_t *height)
{
    *height = 0;
    if (m->marks.n == 0)
        return fail(m, "a mark is missing");
    *height = (size_t)(uintptr_t)m->marks.at[--m->marks.n];
    return true;
}

static bool gather_marked(Machine *m, PickleKind kind)
{
    size_t from;
    if (!pop_mark(m, &from))
        return false;
    if (kind == PICKLE_DICT && (m->stack.n - from) % 2)
        return fail(m, "a dictionary with a key without value");
    return gather(m, kind, from);
}

static bool gather_last(Machine *m, size_t n)
{
    if (m->stack.n - floor_of(m) < n)
        return fail(m, "the stack is empty");
    return gather(m, PICKLE_TUPLE, m->stack.n - n);
}

/* Appends everything above `from` to the container below it. */
static bool extend(Machine *m, PickleKind kind, size_t from)
{
    size_t n = m->stack.n - from;
    if (from <= floor_of(m))
        return fail(m, "the stack is empty");
    PickleValue *v = m->stack.at[from - 1];
    if (v->kind != kind || (kind == PICKLE_DICT && n % 2))
        return fail(m, kind == PICKLE_DICT ? "items are set in something that is no "
                                             "dictionary"
                                           : "an append to something that is no list");
    m->stack.n = from;
    return n == 0 || append(m, v, m->stack.at + from, n);
}

static bool extend_marked(Machine *m, PickleKind kind)
{
    size_t from;
    return pop_mark(m, &from) && extend(m, kind, from);
}

static bool extend_last(Machine *m, PickleKind kind, size_t n)
{
    if (m->stack.n - floor_of(m) <= n)
        return fail(m, "the stack is empty");
    return extend(m, kind, m->stack.n - n);
}

/* ---- names and calls ------------------------------------------------------------- */

static const struct {
    const char *module, *word;
    PickleName name;
    ElemKind elem;
} names[] = {
    {"collections",  "OrderedDict",        NAME_ORDERED_DICT, 0        },
    {"torch",        "Size",               NAME_SIZE,         0        },
    {"torch._utils", "_rebuild_tensor",    NAME_TENSOR,       0        },
    {"torch._utils", "_rebuild_tensor_v2", NAME_TENSOR_V2,    0        },
    {"torch._utils", "_rebuild_parameter", NAME_PARAMETER,    0        },
    {"torch",        "FloatStorage",       NAME_STORAGE,      ELEM_F32 },
    {"torch",        "DoubleStorage",      NAME_STORAGE,      ELEM_F64 },
    {"torch",        "HalfStorage",        NAME_STORAGE,      ELEM_F16 },
    {"torch",        "BFloat16Storage",    NAME_STORAGE,      ELEM_BF16},
    {"torch",        "LongStorage",        NAME_STORAGE,      ELEM_I64 },
    {"torch",        "IntStorage",         NAME_STORAGE,      ELEM_I32 },
    {"torch",        "ShortStorage",       NAME_STORAGE,      ELEM_I16 },
    {"torch",        "CharStorage",        NAME_STORAGE,      ELEM_I8  },
    {"torch",        "ByteStorage",        NAME_STORAGE,      ELEM_U8  },
    {"torch",        "BoolStorage",        NAME_STORAGE,      ELEM_BOOL},
};

static bool same(const char *text, size_t n, const char *s)
{
    return strlen(s) == n && memcmp(text, s, n) == 0;
}

static bool push_name(Machine *m, const char *module, size_t n_module, const char *word,
                      size_t n_word)
{
    char full[SHOWN_CAP], shown[SHOWN_CAP];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (same(module, n_module, names[i].module) &&
            same(word, n_word, names[i].word)) {
            PickleValue *v = value_new(m, PICKLE_NAME);
            if (!v)
                return false;
            v->name = names[i].name;
            v->elem = names[i].elem;
            return push(m, v);
        }
    snprintf(full, sizeof full, "%.*s.%.*s", (int)(n_module < 50 ? n_module : 50),
             module, (int)(n_word < 50 ? n_word : 50), word);
    return err_set(m->err, ERR_FORMAT,
                   "'%s' asks for '%s', which no file of plain tensors needs; it was "
                   "refused and nothing in it was executed (save a state_dict, or "
                   "tensors in dictionaries)",
                   m->name, text_shown(full, shown));
}

static bool op_global(Machine *m)
{
    const char *module = (const char *)m->p;
    const uint8_t *line = memchr(m->p, '\n', (size_t)(m->end - m->p));
    const uint8_t *word = line ? line + 1 : m->end;
    const uint8_t *stop = memchr(word, '\n', (size_t)(m->end - word));
    if (!stop || stop - m->p > MAX_ARG)
        return fail(m, "a name does not end");
    m->p = stop + 1;
    return push_name(m, module, (size_t)((const char *)line - module),
                     (const char *)word, (size_t)(stop - word));
}

static bool op_stack_global(Machine *m)
{
    PickleValue *word = pop(m), *module = word ? pop(m) : NULL;
    if (!module)
        return false;
    if (module->kind != PICKLE_TEXT || word->kind != PICKLE_TEXT)
        return fail(m, "a name that is no text");
    return push_name(m, module->text, module->n, word->text, word->n);
}

static bool is_tuple(const PickleValue *v, size_t least)
{
    return v->kind == PICKLE_TUPLE && v->n >= least;
}

static bool copy_ints(Machine *m, const PickleValue *tuple, int64_t **out)
{
    *out = arena_alloc(m->arena, MAX_DIM * sizeof **out, m->err);
    for (size_t i = 0; *out && i < tuple->n; i++) {
        if (tuple->item[i]->kind != PICKLE_INT)
            return fail(m, "a tensor's size or stride is no integer");
        (*out)[i] = tuple->item[i]->i;
    }
    return *out != NULL;
}

static PickleValue *make_tensor(Machine *m, const PickleValue *args)
{
    if (!is_tuple(args, 4) || args->item[0]->kind != PICKLE_STORAGE ||
        args->item[1]->kind != PICKLE_INT || !is_tuple(args->item[2], 0) ||
        !is_tuple(args->item[3], 0) || args->item[2]->n != args->item[3]->n) {
        fail(m, "a tensor is not (storage, offset, size, stride)");
        return NULL;
    }
    if (args->item[2]->n > MAX_DIM) {
        err_set(m->err, ERR_FORMAT, "'%s': a tensor of more than %d dimensions",
                m->name, MAX_DIM);
        return NULL;
    }
    PickleValue *v = value_new(m, PICKLE_TENSOR);
    if (!v)
        return NULL;
    v->storage = args->item[0];
    v->i = args->item[1]->i;
    v->ndim = (int)args->item[2]->n;
    return copy_ints(m, args->item[2], &v->dim) &&
                   copy_ints(m, args->item[3], &v->stride)
               ? v
               : NULL;
}

/* OrderedDict() or OrderedDict([(key, value), ...]). */
static PickleValue *make_dict(Machine *m, const PickleValue *args)
{
    PickleValue *v = value_new(m, PICKLE_DICT);
    const PickleValue *list = args->n ? args->item[0] : NULL;
    if (!v || !list)
        return v;
    bool ok = args->n == 1 && list->kind == PICKLE_LIST;
    for (size_t i = 0; ok && i < list->n; i++) {
        const PickleValue *pair = list->item[i];
        ok = (pair->kind == PICKLE_TUPLE || pair->kind == PICKLE_LIST) && pair->n == 2;
        if (ok && !append(m, v, (void **)pair->item, 2))
            return NULL;
    }
    if (!ok)
        fail(m, "an OrderedDict is not made of pairs");
    return ok ? v : NULL;
}

static bool op_reduce(Machine *m)
{
    PickleValue *args = pop(m), *fn = args ? pop(m) : NULL;
    if (!fn)
        return false;
    if (fn->kind != PICKLE_NAME || args->kind != PICKLE_TUPLE)
        return fail(m, "a call of something that is no function");
    switch (fn->name) {
    case NAME_ORDERED_DICT: return push(m, make_dict(m, args));
    case NAME_TENSOR:
    case NAME_TENSOR_V2: return push(m, make_tensor(m, args));
    case NAME_SIZE:
        if (args->n == 1 && args->item[0]->kind == PICKLE_TUPLE)
            return push(m, args->item[0]);
        return fail(m, "a size is no tuple");
    case NAME_PARAMETER:
        if (args->n >= 1 && args->item[0]->kind == PICKLE_TENSOR)
            return push(m, args->item[0]);
        return fail(m, "a parameter is no tensor");
    default: return fail(m, "a storage inside the pickle itself");
    }
}

/* The state of an OrderedDict is its attributes (_metadata of a state_dict): no data.
 * */
static bool op_build(Machine *m)
{
    PickleValue *state = pop(m), *object = state ? top(m) : NULL;
    if (!object)
        return false;
    return (object->kind == PICKLE_DICT && state->kind == PICKLE_DICT) ||
           fail(m, "it sets the state of something that is no dictionary");
}

/* ('storage', type, key, place, elements), and in the older form None: no view. */
static bool op_binpersid(Machine *m)
{
    PickleValue *id = pop(m);
    if (!id)
        return false;
    PickleValue **x = id->item;
    if (!is_tuple(id, 5) || x[0]->kind != PICKLE_TEXT ||
        !same(x[0]->text, x[0]->n, "storage") || x[1]->kind != PICKLE_NAME ||
        x[1]->name != NAME_STORAGE || x[2]->kind != PICKLE_TEXT ||
        x[4]->kind != PICKLE_INT || x[4]->i < 0)
        return fail(m,
                    "a reference that is no ('storage', type, key, place, elements)");
    if (id->n > 5 && x[5]->kind != PICKLE_NONE)
        return err_set(m->err, ERR_FORMAT,
                       "'%s' holds views of storages as PyTorch 0.x wrote them; load "
                       "and save it with a newer PyTorch",
                       m->name);
    PickleValue *v = value_new(m, PICKLE_STORAGE);
    if (!v)
        return false;
    v->elem = x[1]->elem;
    v->text = x[2]->text;
    v->n = x[2]->n;
    v->i = x[4]->i;
    v->storage = m->storages;
    m->storages = v;
    return push(m, v);
}

/* ---- plain values ---------------------------------------------------------------- */

static bool push_int(Machine *m, PickleKind kind, int64_t i)
{
    PickleValue *v = value_new(m, kind);
    if (v)
        v->i = i;
    return push(m, v);
}

static bool push_unsigned(Machine *m, int bytes)
{
    uint64_t u;
    return take_uint(m, bytes, &u) && push_int(m, PICKLE_INT, (int64_t)u);
}

static bool push_text(Machine *m, PickleKind kind, int length_bytes)
{
    uint64_t n;
    const uint8_t *text = take_uint(m, length_bytes, &n) ? take(m, n) : NULL;
    PickleValue *v = text ? value_new(m, kind) : NULL;
    if (!v)
        return false;
    v->text = (const char *)text;
    v->n = (size_t)n;
    return push(m, v);
}

/* Two's complement of any length. */
static bool push_long(Machine *m, int length_bytes)
{
    uint64_t n, u = 0;
    const uint8_t *b = take_uint(m, length_bytes, &n) ? take(m, n) : NULL;
    PickleValue *v = b ? value_new(m, n > 8 ? PICKLE_BIG : PICKLE_INT) : NULL;
    if (!v)
        return false;
    v->text = (const char *)b;
    v->n = (size_t)n;
    for (uint64_t i = 0; i < n && i < 8; i++)
        u |= (uint64_t)b[i] << 8 * i;
    if (n > 0 && n < 8 && b[n - 1] & 0x80)
        u |= ~(uint64_t)0 << 8 * n;
    v->i = (int64_t)u;
    return push(m, v);
}

static bool op_binfloat(Machine *m)
{
    const uint8_t *b = take(m, 8);
    PickleValue *v = b ? value_new(m, PICKLE_FLOAT) : NULL;
    uint64_t u = 0;
    for (int i = 0; b && i < 8; i++)
        u = u << 8 | b[i];
    if (v)
        memcpy(&v->f, &u, sizeof u);
    return push(m, v);
}

static bool op_binint(Machine *m)
{
    uint64_t u;
    return take_uint(m, 4, &u) && push_int(m, PICKLE_INT, (int32_t)(uint32_t)u);
}

/* ---- memo, marks, frame ---------------------------------------------------------- */

static bool memo_put(Machine *m, uint64_t at)
{
    PickleValue *v = top(m);
    if (!v)
        return false;
    if (at > m->most_memo)
        return fail(m, "a memo number is too large");
    while (m->memo.n <= at)
        if (!stack_push(m, &m->memo, NULL))
            return false;
    m->memo.at[at] = v;
    return true;
}

static bool memo_put_at(Machine *m, int bytes)
{
    uint64_t at;
    return take_uint(m, bytes, &at) && memo_put(m, at);
}

static bool memo_get_at(Machine *m, int bytes)
{
    uint64_t at;
    if (!take_uint(m, bytes, &at))
        return false;
    if (at >= m->memo.n || !m->memo.at[at])
        return fail(m, "a memo number is used before it is set");
    return push(m, m->memo.at[at]);
}

static bool op_mark(Machine *m)
{
    return stack_push(m, &m->marks, (void *)(uintptr_t)m->stack.n);
}

static bool op_pop_mark(Machine *m)
{
    return pop_mark(m, &m->stack.n);
}

static bool op_proto(Machine *m)
{
    uint64_t v;
    if (!take_uint(m, 1, &v))
        return false;
    return (v >= 2 && v <= 5) ||
           err_set(m->err, ERR_FORMAT, "'%s': pickle protocol %d; 2 to 5 are known",
                   m->name, (int)v);
}

static bool op_stop(Machine *m)
{
    m->stopped = true;
    return (m->stack.n == 1 && m->marks.n == 0) || fail(m, "it ends with a full stack");
}

/* Opcodes with an argument of their own kind share one function: `arg` says which. */
static bool op_values(Machine *m, int arg)
{
    switch (arg) {
    case 'N': return push(m, value_new(m, PICKLE_NONE));
    case 0x88: return push_int(m, PICKLE_BOOL, 1);
    case 0x89: return push_int(m, PICKLE_BOOL, 0);
    case 'K': return push_unsigned(m, 1);
    case 'M': return push_unsigned(m, 2);
    case 'J': return op_binint(m);
    case 0x8a: return push_long(m, 1);
    case 0x8b: return push_long(m, 4);
    case 'G': return op_binfloat(m);
    case 'X':
    case 'T': return push_text(m, PICKLE_TEXT, 4);
    case 'U':
    case 0x8c: return push_text(m, PICKLE_TEXT, 1);
    case 0x8d: return push_text(m, PICKLE_TEXT, 8);
    case 'B': return push_text(m, PICKLE_BYTES, 4);
    case 'C': return push_text(m, PICKLE_BYTES, 1);
    default: return push_text(m, PICKLE_BYTES, 8);
    }
}

static bool op_containers(Machine *m, int arg)
{
    switch (arg) {
    case ')': return gather_last(m, 0);
    case 0x85: return gather_last(m, 1);
    case 0x86: return gather_last(m, 2);
    case 0x87: return gather_last(m, 3);
    case 't': return gather_marked(m, PICKLE_TUPLE);
    case ']': return push(m, value_new(m, PICKLE_LIST));
    case 'l': return gather_marked(m, PICKLE_LIST);
    case 'a': return extend_last(m, PICKLE_LIST, 1);
    case 'e': return extend_marked(m, PICKLE_LIST);
    case '}': return push(m, value_new(m, PICKLE_DICT));
    case 'd': return gather_marked(m, PICKLE_DICT);
    case 's': return extend_last(m, PICKLE_DICT, 2);
    default: return extend_marked(m, PICKLE_DICT);
    }
}

static bool op_moves(Machine *m, int arg)
{
    PickleValue *v;
    switch (arg) {
    case '(': return op_mark(m);
    case '0': return pop(m) != NULL;
    case '1': return op_pop_mark(m);
    case '2': return (v = top(m)) && push(m, v);
    case 'q': return memo_put_at(m, 1);
    case 'r': return memo_put_at(m, 4);
    case 0x94: return memo_put(m, m->memo.n);
    case 'h': return memo_get_at(m, 1);
    case 'j': return memo_get_at(m, 4);
    case 0x95: return take(m, 8) != NULL;
    case 0x80: return op_proto(m);
    default: return op_stop(m);
    }
}

static bool op_calls(Machine *m, int arg)
{
    switch (arg) {
    case 'c': return op_global(m);
    case 0x93: return op_stack_global(m);
    case 'R': return op_reduce(m);
    case 'b': return op_build(m);
    default: return op_binpersid(m);
    }
}

typedef struct Op {
    const char *refused; /* its name, when it is known and not allowed */
    bool (*run)(Machine *m, int arg);
} Op;

#define VALUE                                                                          \
    {                                                                                  \
        NULL, op_values                                                                \
    }
#define CONTAINER                                                                      \
    {                                                                                  \
        NULL, op_containers                                                            \
    }
#define MOVE                                                                           \
    {                                                                                  \
        NULL, op_moves                                                                 \
    }
#define CALL                                                                           \
    {                                                                                  \
        NULL, op_calls                                                                 \
    }
#define NO(name)                                                                       \
    {                                                                                  \
        name, NULL                                                                     \
    }
static const Op ops[256] = {
    ['N'] = VALUE,
    [0x88] = VALUE,
    [0x89] = VALUE,
    ['K'] = VALUE,
    ['M'] = VALUE,
    ['J'] = VALUE,
    [0x8a] = VALUE,
    [0x8b] = VALUE,
    ['G'] = VALUE,
    ['X'] = VALUE,
    ['T'] = VALUE,
    ['U'] = VALUE,
    [0x8c] = VALUE,
    [0x8d] = VALUE,
    ['B'] = VALUE,
    ['C'] = VALUE,
    [0x8e] = VALUE,
    [')'] = CONTAINER,
    [0x85] = CONTAINER,
    [0x86] = CONTAINER,
    [0x87] = CONTAINER,
    ['t'] = CONTAINER,
    [']'] = CONTAINER,
    ['l'] = CONTAINER,
    ['a'] = CONTAINER,
    ['e'] = CONTAINER,
    ['}'] = CONTAINER,
    ['d'] = CONTAINER,
    ['s'] = CONTAINER,
    ['u'] = CONTAINER,
    ['('] = MOVE,
    ['0'] = MOVE,
    ['1'] = MOVE,
    ['2'] = MOVE,
    ['q'] = MOVE,
    ['r'] = MOVE,
    [0x94] = MOVE,
    ['h'] = MOVE,
    ['j'] = MOVE,
    [0x95] = MOVE,
    [0x80] = MOVE,
    ['.'] = MOVE,
    ['c'] = CALL,
    [0x93] = CALL,
    ['R'] = CALL,
    ['b'] = CALL,
    ['Q'] = CALL,
    [0x81] = NO("NEWOBJ"),
    [0x92] = NO("NEWOBJ_EX"),
    ['i'] = NO("INST"),
    ['o'] = NO("OBJ"),
    [0x82] = NO("EXT1"),
    [0x83] = NO("EXT2"),
    [0x84] = NO("EXT4"),
    [0x8f] = NO("EMPTY_SET"),
    [0x90] = NO("ADDITEMS"),
    [0x91] = NO("FROZENSET"),
    [0x96] = NO("BYTEARRAY8"),
    [0x97] = NO("NEXT_BUFFER"),
    [0x98] = NO("READONLY_BUFFER"),
    ['P'] = NO("PERSID"),
    ['I'] = NO("INT"),
    ['L'] = NO("LONG"),
    ['F'] = NO("FLOAT"),
    ['S'] = NO("STRING"),
    ['V'] = NO("UNICODE"),
    ['g'] = NO("GET"),
    ['p'] = NO("PUT"),
};

static bool run_one(Machine *m)
{
    const uint8_t *code = take(m, 1);
    if (!code)
        return false;
    const Op *op = &ops[*code];
    if (op->run)
        return op->run(m, *code);
    if (!op->refused)
        return err_set(m->err, ERR_FORMAT,
                       "'%s': damaged pickle: there is no instruction 0x%02x", m->name,
                       *code);
    return err_set(m->err, ERR_FORMAT,
                   "'%s': the pickle uses the instruction %s, which no file of plain "
                   "tensors needs; it was refused and nothing in it was executed",
                   m->name, op->refused);
}

const PickleValue *pickle_read(const void *data, size_t n, size_t *at, const char *name,
                               Arena *a, const PickleValue **storages, Err *err)
{
    const uint8_t *d = data;
    Machine m = {.p = d + *at,
                 .end = d + n,
                 .most_memo = n - *at,
                 .name = name,
                 .arena = a,
                 .err = err};
    bool ok = true;
    for (uint64_t k = 1; ok && !m.stopped; k++)
        ok = run_one(&m) && (k % POLL_OPS != 0 || intr_check(err));
    const PickleValue *result = ok ? m.stack.at[0] : NULL;
    *at = (size_t)(m.p - d);
    if (storages)
        *storages = m.storages;
    mem_free(m.stack.at);
    mem_free(m.memo.at);
    mem_free(m.marks.at);
    return result;
}

bool pickle_is(const PickleValue *v, const char *s)
{
    return v->kind == PICKLE_TEXT && same(v->text, v->n, s);
}

const PickleValue *pickle_get(const PickleValue *dict, const char *key)
{
    for (size_t i = 0; dict->kind == PICKLE_DICT && i + 1 < dict->n; i += 2)
        if (pickle_is(dict->item[i], key))
            return dict->item[i + 1];
    return NULL;
}
