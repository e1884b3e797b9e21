/* tset.c -- named tensors and string metadata in order of insertion. Two tables of the
 * same kind; each finds a name through an open-addressed index of FNV-1a hashes, so a
 * file with many names costs no more than their length. Index slots hold item + 1. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/decode.h"
#include "tensor/io.h"

typedef struct Item {
    char *name;
    char *text;    /* metadata */
    Tensor tensor; /* tensors */
} Item;

typedef struct Table {
    Item *item;
    uint32_t *index; /* slots, a power of two, at most half full */
    size_t slots;
    int n, cap;
} Table;

struct TensorSet {
    Table tensors, meta;
};

static uint64_t hash_of(const char *name)
{
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h ^ h >> 32;
}

/* The slot that holds `name`, or the free one where it belongs. */
static uint32_t *slot_of(const Table *t, const char *name)
{
    size_t i = hash_of(name) & (t->slots - 1);
    while (t->index[i] && strcmp(t->item[t->index[i] - 1].name, name) != 0)
        i = (i + 1) & (t->slots - 1);
    return &t->index[i];
}

static Item *table_find(const Table *t, const char *name)
{
    uint32_t *slot = t->n ? slot_of(t, name) : NULL;
    return slot && *slot ? &t->item[*slot - 1] : NULL;
}

/* Room for one more; on failure the table is as it was. */
static bool table_grow(Table *t, Err *err)
{
    if (t->n < t->cap)
        return true;
    if (t->cap > INT32_MAX / 4)
        return err_set(err, ERR_MEMORY, "too many names in one set");
    int cap = t->cap ? 2 * t->cap : 8;
    size_t slots = 2 * (size_t)cap;
    uint32_t *index = mem_zalloc(slots * sizeof *index, err);
    Item *item = index ? mem_realloc(t->item, (size_t)cap * sizeof *item, err) : NULL;
    if (!item) {
        mem_free(index);
        return false;
    }
    mem_free(t->index);
    *t = (Table){.item = item, .index = index, .slots = slots, .n = t->n, .cap = cap};
    for (int i = 0; i < t->n; i++)
        *slot_of(t, item[i].name) = (uint32_t)i + 1;
    return true;
}

/* A new item with that name, its value still empty; NULL when the name is taken. */
static Item *table_add(Table *t, const char *what, const char *name, Err *err)
{
    if (table_find(t, name)) {
        err_set(err, ERR_FORMAT, "%s '%.200s' is there twice; names must be unique",
                what, name);
        return NULL;
    }
    char *copy = table_grow(t, err) ? mem_strdup(name, err) : NULL;
    if (!copy)
        return NULL;
    uint32_t *slot = slot_of(t, copy);
    Item *it = &t->item[t->n++];
    *it = (Item){.name = copy};
    *slot = (uint32_t)t->n;
    return it;
}

static void table_done(Table *t)
{
    for (int i = 0; i < t->n; i++) {
        mem_free(t->item[i].name);
        mem_free(t->item[i].text);
        tensor_release(&t->item[i].tensor);
    }
    mem_free(t->item);
    mem_free(t->index);
}

TensorSet *tset_new(Err *err)
{
    return mem_zalloc(sizeof(TensorSet), err);
}

void tset_free(TensorSet *s)
{
    if (!s)
        return;
    table_done(&s->tensors);
    table_done(&s->meta);
    mem_free(s);
}

bool tset_add(TensorSet *s, const char *name, const Tensor *t, Err *err)
{
    Item *it = table_add(&s->tensors, "the tensor", name, err);
    if (it)
        it->tensor = tensor_retain(t);
    return it != NULL;
}

bool tset_add_meta(TensorSet *s, const char *key, const char *value, Err *err)
{
    char *text = mem_strdup(value, err);
    Item *it = text ? table_add(&s->meta, "the metadata key", key, err) : NULL;
    if (it)
        it->text = text;
    else
        mem_free(text);
    return it != NULL;
}

int tset_count(const TensorSet *s)
{
    return s->tensors.n;
}

const char *tset_name(const TensorSet *s, int i)
{
    return s->tensors.item[i].name;
}

const Tensor *tset_at(const TensorSet *s, int i)
{
    return &s->tensors.item[i].tensor;
}

const Tensor *tset_get(const TensorSet *s, const char *name)
{
    const Item *it = table_find(&s->tensors, name);
    return it ? &it->tensor : NULL;
}

const char *tset_meta(const TensorSet *s, const char *key)
{
    const Item *it = table_find(&s->meta, key);
    return it ? it->text : NULL;
}

int tset_meta_count(const TensorSet *s)
{
    return s->meta.n;
}

const char *tset_meta_key(const TensorSet *s, int i)
{
    return s->meta.item[i].name;
}
