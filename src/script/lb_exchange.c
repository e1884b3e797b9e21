/* lb_exchange.c -- cl.load and cl.save: one row for each file format, chosen by the
 * suffix. A loader pushes its results; a saver finds the value at argument 2 and its
 * options at 3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "script/lb_text.h"
#include "tensor/io.h"

typedef struct Format {
    const char *suffix;
    int (*load)(lua_State *L,
                const char *path); /* number of results; NULL: cannot be read */
    void (*save)(lua_State *L, const char *path); /* NULL: cannot be written */
    bool options;                                 /* takes an option table */
} Format;

/* --- sets of named tensors -------------------------------------------------------- */

static void free_set(void *p)
{
    tset_free(p);
}

typedef bool LoadSet(const char *path, TensorSet **out, Err *err);
typedef bool SaveSet(const char *path, const TensorSet *s, Err *err);

/* A table of the tensors by name, and one of the metadata. */
static int load_set(lua_State *L, const char *path, LoadSet *load)
{
    Err err;
    TensorSet *s;
    LbGuard *g = lb_push_guard(L, free_set);
    if (!load(path, &s, &err))
        return lb_raise(L, &err);
    g->p = s;
    int n = tset_count(s), n_meta = tset_meta_count(s);
    lua_createtable(L, 0, n);
    for (int i = 0; i < n; i++) {
        LTensor *t = lb_push_tensor(L);
        t->t = tensor_retain(tset_at(s, i));
        lua_setfield(L, -2, tset_name(s, i));
    }
    lua_createtable(L, 0, n_meta);
    for (int i = 0; i < n_meta; i++) {
        lua_pushstring(L, tset_meta(s, tset_meta_key(s, i)));
        lua_setfield(L, -2, tset_meta_key(s, i));
    }
    lb_unguard(g);
    lb_pace(L);
    return 2;
}

static int load_safetensors(lua_State *L, const char *path)
{
    return load_set(L, path, safetensors_load);
}

static int load_npz(lua_State *L, const char *path)
{
    load_set(L, path, npz_load);
    lua_pop(L, 1); /* there is no metadata in these */
    return 1;
}

static int load_torch(lua_State *L, const char *path)
{
    return load_set(L, path, torch_load);
}

/* net:parameters() lists its tensors by position as well as by name. */
static bool is_listed_twice(lua_State *L, int table)
{
    LTensor *t = lb_test_tensor(L, -1);
    if (!t || lua_type(L, -2) != LUA_TNUMBER || !t->name[0])
        return false;
    lua_getfield(L, table, t->name);
    LTensor *named = lb_test_tensor(L, -1);
    lua_pop(L, 1);
    return named && named->t.data == t->t.data;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **lb_sorted_names(lua_State *L, int table, const char *what, int *n)
{
    int count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        count++;
        lua_pop(L, 1);
    }
    const char **name = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *name, 0);
    *n = 0;
    lua_pushnil(L);
    for (; lua_next(L, table); lua_pop(L, 1)) {
        if (is_listed_twice(L, table))
            continue;
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION,
                     "%s takes a table of named tensors, { name = tensor }; it "
                     "holds a %s under a %s",
                     what, luaL_typename(L, -1), luaL_typename(L, -2));
        if (strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2))
            lb_error(L, ERR_OPTION, "%s: a name holds a zero byte", what);
        name[(*n)++] = lua_tostring(L, -2); /* stays alive in the table */
    }
    qsort(name, (size_t)*n, sizeof *name, by_text);
    return name;
}

TensorSet *lb_check_set(lua_State *L, int arg, const char *what)
{
    Err err;
    arg = lua_absindex(L, arg);
    if (!lua_istable(L, arg))
        lb_error(L, ERR_OPTION,
                 "%s takes a table of named tensors, { name = tensor }, not a %s", what,
                 luaL_typename(L, arg));
    int n;
    const char **name = lb_sorted_names(L, arg, what, &n);
    LbGuard *g = lb_push_guard(L, free_set);
    TensorSet *s = tset_new(&err);
    if (!s)
        lb_raise(L, &err);
    g->p = s;
    for (int i = 0; i < n; i++) {
        lua_getfield(L, arg, name[i]);
        LTensor *t = lb_test_tensor(L, -1);
        if (!t)
            lb_error(L, ERR_OPTION,
                     "%s takes a table of named tensors, { name = tensor }; '%s' is "
                     "a %s",
                     what, name[i], luaL_typename(L, -1));
        if (!tset_add(s, name[i], &t->t, &err))
            lb_raise(L, &err);
        lua_pop(L, 1);
    }
    return s;
}

static void save_set(lua_State *L, const char *path, SaveSet *save, const char *what)
{
    Err err;
    const TensorSet *s = lb_check_set(L, 2, what);
    if (!save(path, s, &err))
        lb_raise(L, &err);
    lb_unguard(lua_touserdata(L, -1));
}

static void save_safetensors(lua_State *L, const char *path)
{
    save_set(L, path, safetensors_save, "cl.save: a .safetensors file");
}

static void save_npz(lua_State *L, const char *path)
{
    save_set(L, path, npz_save, "cl.save: a .npz file");
}

/* --- single tensors --------------------------------------------------------------- */

static int load_one(lua_State *L, const char *path,
                    bool (*load)(const char *, Tensor *, Err *))
{
    Err err;
    LTensor *out = lb_push_tensor(L);
    if (!load(path, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int load_npy(lua_State *L, const char *path)
{
    return load_one(L, path, npy_load);
}

static int load_png(lua_State *L, const char *path)
{
    return load_one(L, path, png_load);
}

static void save_npy(lua_State *L, const char *path)
{
    Err err;
    if (!npy_save(path, &lb_check_tensor(L, 2)->t, &err))
        lb_raise(L, &err);
}

/* --- CSV -------------------------------------------------------------------------- */

typedef struct CsvCfg {
    char dtype[OPT_STR_CAP];
} CsvCfg;
static const OptRow csv_options[] = {
    {"dtype", OPT_ENUM, offsetof(CsvCfg, dtype), "f32", 0, 0, "f32 f64",
     "Of the tensor that a .csv or .tsv file becomes."},
};
static const size_t n_csv_options = ARRAY_LEN(csv_options);

static int load_table(lua_State *L, const char *path, char sep)
{
    Err err;
    CsvCfg cfg;
    DType t = F32;
    lb_options(L, 2, "cl.load", csv_options, n_csv_options, &cfg);
    dtype_parse(cfg.dtype, &t);
    LbGuard *g = lb_push_guard(L, mem_free);
    LTensor *out = lb_push_tensor(L);
    char *names = NULL;
    if (!csv_load(path, sep, t, &out->t, &names, &err))
        return lb_raise(L, &err);
    g->p = names;
    lb_pace(L);
    if (!names)
        return 1;
    lua_createtable(L, (int)out->t.dim[1], 0);
    const char *name = names;
    for (lua_Integer i = 1; i <= out->t.dim[1]; i++, name += strlen(name) + 1) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, i);
    }
    lb_unguard(g);
    return 2;
}

static int load_csv(lua_State *L, const char *path)
{
    return load_table(L, path, ',');
}

static int load_tsv(lua_State *L, const char *path)
{
    return load_table(L, path, '\t');
}

/* The list of column names at the stack top as C strings that Lua frees; NULL for nil.
 * */
static const char *const *column_names(lua_State *L, int64_t columns)
{
    if (lua_isnil(L, -1))
        return NULL;
    int list = lua_gettop(L);
    luaL_argcheck(L, lua_istable(L, list), 3, "header must be a list of column names");
    if ((int64_t)lua_rawlen(L, list) != columns)
        lb_error(L, ERR_SHAPE,
                 "cl.save: the header names %d columns, the tensor has %d",
                 (int)lua_rawlen(L, list), (int)columns);
    const char **name = lua_newuserdatauv(L, (size_t)columns * sizeof *name, 0);
    for (int64_t i = 0; i < columns; i++) {
        lua_rawgeti(L, list, i + 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.save: column names are texts, got a %s",
                     luaL_typename(L, -1));
        name[i] = lua_tostring(L, -1); /* stays alive in the list */
        lua_pop(L, 1);
    }
    return name;
}

static void save_table(lua_State *L, const char *path, char sep)
{
    Err err;
    const Tensor *t = &lb_check_tensor(L, 2)->t;
    lua_settop(L, 3);
    lb_take_option(L, 3, "header");
    if (lua_istable(L, 3)) {
        lua_pushnil(L);
        if (lua_next(L, 3))
            lb_error(L, ERR_OPTION,
                     "cl.save: a table has the option header only, not '%s'",
                     lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
    }
    const char *const *names = column_names(L, t->ndim == 2 ? t->dim[1] : 1);
    if (!csv_save(path, sep, t, names, &err))
        lb_raise(L, &err);
}

static void save_csv(lua_State *L, const char *path)
{
    save_table(L, path, ',');
}

static void save_tsv(lua_State *L, const char *path)
{
    save_table(L, path, '\t');
}

/* --- the formats ------------------------------------------------------------------ */

static const Format formats[] = {
    {".npy",         load_npy,         save_npy,         false},
    {".npz",         load_npz,         save_npz,         false},
    {".safetensors", load_safetensors, save_safetensors, false},
    {".pt",          load_torch,       NULL,             false},
    {".pth",         load_torch,       NULL,             false},
    {".csv",         load_csv,         save_csv,         true },
    {".tsv",         load_tsv,         save_tsv,         true },
    {".png",         load_png,         NULL,             false},
    {".json",        lb_load_json,     lb_save_json,     false},
    {".md",          NULL,             lb_save_text,     false},
    {".txt",         NULL,             lb_save_text,     false},
};

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcasecmp(s + n - k, suffix) == 0;
}

/* The row for a path; raises with the list of what there is. */
static const Format *find_format(lua_State *L, const char *path, bool save)
{
    const char *verb = save ? "written" : "read", *what = save ? "cl.save" : "cl.load";
    const char *only = save ? "can only be read" : "can only be written";
    char list[160] = "";
    size_t used = 0;
    bool other = false;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        const Format *f = &formats[i];
        bool can = save ? f->save != NULL : f->load != NULL;
        if (has_suffix(path, f->suffix) && can)
            return f;
        other |= has_suffix(path, f->suffix);
        if (can)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     used ? " " : "", f->suffix);
    }
    lb_error(L, ERR_FORMAT, "%s: '%s' %s; these can be %s: %s", what, path,
             other ? only : "has no known suffix", verb, list);
    return NULL;
}

static const Format *check_args(lua_State *L, bool save)
{
    int options = save ? 3 : 2;
    const Format *f = find_format(L, luaL_checkstring(L, 1), save);
    if (!f->options && !lua_isnoneornil(L, options))
        lb_error(L, ERR_OPTION, "%s: %s files take no options",
                 save ? "cl.save" : "cl.load", f->suffix);
    return f;
}

static int cl_load(lua_State *L)
{
    return check_args(L, false)->load(L, lua_tostring(L, 1));
}

static int cl_save(lua_State *L)
{
    luaL_checkany(L, 2);
    check_args(L, true)->save(L, lua_tostring(L, 1));
    return 0;
}

const LbFn lb_exchange_fns[] = {
    {"cl.load", "(path, { dtype = \"f32\" })",
     "Reads a file by its suffix. .npy and .png give a tensor (pictures f32 from 0 to "
     "1, [H,W] or [C,H,W]); .npz a table of named tensors; .safetensors and PyTorch's "
     ".pt and .pth such a table and one of their metadata; .csv and .tsv a tensor "
     "[N,C] and the list of column names when the first line has them (dtype is for "
     "these). A .pt file is read without executing anything; damaged files are "
     "refused with one sentence. .json gives tables, texts and numbers.", cl_load, csv_options, &n_csv_options,
     "tensors = cl.load(\"net.pt\")"},
    {"cl.save", "(path, value, { header = names })",
     "Writes a file by its suffix: a tensor as .npy, a table of named tensors as .npz "
     "or .safetensors, a tensor [N,C] as .csv or .tsv (header: its column names), any "
     "value as .json, a text as .md or .txt. The "
     "file appears whole or not at all; equal values give equal bytes.", cl_save, NULL,
     NULL, "cl.save(\"weights.npz\", { w = cl.ones({ 2, 3 }) })"},
};
const size_t lb_n_exchange_fns = ARRAY_LEN(lb_exchange_fns);
