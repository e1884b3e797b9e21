/* mem.c -- a 16-byte header sits directly below each 64-byte aligned block. Small
 * blocks are carved out of a slightly larger malloc() (about half the cost of an
 * aligned allocation, which bypasses glibc's thread cache). Blocks of 4 MiB and more
 * are mappings aligned to 2 MiB, so that the huge pages we ask for can be used from
 * the first byte; a few freed ones are kept, because a loop that allocates the same
 * temporaries each time would otherwise pay for fresh page faults each time.
 * Invariant: live = sum of footprint() over all blocks handed out, and live never
 * exceeds the budget in force at the time of the allocation. Kept mappings are not
 * live; they are given back before they could push live + kept past the budget. */
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)4 << 20)
#define PAGE ((size_t)4096)
#define KEEP_BYTES ((size_t)512 << 20)
enum { KEEP_SLOTS = 16 };

/* Under the address sanitizer every block is its own exact malloc: mappings are
 * invisible to the leak check and rounding would hide overruns. */
#if defined(__SANITIZE_ADDRESS__)
#define EXACT 1
#else
#define EXACT 0
#endif

typedef struct Head {
    size_t size;   /* usable bytes of the block */
    uint32_t gap;  /* from the start of the system's block to ours */
    uint32_t kind; /* KIND_HEAP, KIND_MAP; anything else: not a block of ours */
} Head;
enum { KIND_HEAP = 0x48656170, KIND_MAP = 0x4d617070, KIND_DEAD = 0x44656164 };
_Static_assert(sizeof(Head) == 16, "the header must fit below an aligned block");

static _Atomic size_t live, peak, budget;
static _Atomic uint64_t total;
static _Atomic long fail_countdown;
static atomic_bool fail_fired;

static struct {
    pthread_mutex_t lock;
    struct {
        char *base;
        size_t len;
    } slot[KEEP_SLOTS];
    int next; /* the slot to evict when all are taken */
    _Atomic size_t bytes;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static Head *head_of(void *p)
{
    Head *h = (Head *)((char *)p - sizeof(Head));
    assert(h->kind == KIND_HEAP || h->kind == KIND_MAP);
    return h;
}

static size_t footprint(const Head *h)
{
    return h->size + ALIGN;
}

size_t mem_budget(void)
{
    size_t b = atomic_load_explicit(&budget, memory_order_relaxed);
    if (b == 0) {
        b = mem_machine() / 4 * 3;
        size_t none = 0;
        if (!atomic_compare_exchange_strong(&budget, &none, b))
            b = none;
    }
    return b;
}

void mem_set_budget(size_t bytes)
{
    atomic_store(&budget, bytes > 0 ? bytes : 1);
}

static bool keep_put(char *base, size_t len)
{
    if (len > KEEP_BYTES)
        return false;
    pthread_mutex_lock(&kept.lock);
    while (kept.bytes + len > KEEP_BYTES || kept.slot[kept.next].base) {
        char *old = kept.slot[kept.next].base;
        if (old) {
            munmap(old, kept.slot[kept.next].len);
            kept.bytes -= kept.slot[kept.next].len;
            kept.slot[kept.next].base = NULL;
        } else {
            kept.next = (kept.next + 1) % KEEP_SLOTS;
        }
    }
    kept.slot[kept.next].base = base;
    kept.slot[kept.next].len = len;
    kept.next = (kept.next + 1) % KEEP_SLOTS;
    kept.bytes += len;
    pthread_mutex_unlock(&kept.lock);
    return true;
}

static char *keep_take(size_t len)
{
    char *base = NULL;
    if (atomic_load_explicit(&kept.bytes, memory_order_relaxed) < len)
        return NULL;
    pthread_mutex_lock(&kept.lock);
    for (int i = 0; i < KEEP_SLOTS && !base; i++) {
        if (kept.slot[i].base && kept.slot[i].len == len) {
            base = kept.slot[i].base;
            kept.slot[i].base = NULL;
            kept.bytes -= len;
            kept.next = i;
        }
    }
    pthread_mutex_unlock(&kept.lock);
    return base;
}

void mem_trim(void)
{
    pthread_mutex_lock(&kept.lock);
    for (int i = 0; i < KEEP_SLOTS; i++) {
        if (kept.slot[i].base)
            munmap(kept.slot[i].base, kept.slot[i].len);
        kept.slot[i].base = NULL;
    }
    kept.bytes = 0;
    pthread_mutex_unlock(&kept.lock);
}

static void human(size_t bytes, char dst[32])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1024 && u + 1 < ARRAY_LEN(unit)) {
        v /= 1024;
        u++;
    }
    snprintf(dst, 32, u ? "%.1f %s" : "%.0f %s", v, unit[u]);
}

static void *refuse(size_t bytes, const char *why, Err *err)
{
    char ask[32], use[32], cap[32];
    human(bytes, ask);
    human(mem_live(), use);
    human(mem_budget(), cap);
    err_set(err, ERR_MEMORY,
            "out of memory: asked for %s with %s in use of a budget of %s (%s)", ask,
            use, cap, why);
    return NULL;
}

static bool injected(void)
{
    long n = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (n > 0) {
        if (atomic_compare_exchange_weak(&fail_countdown, &n, n - 1)) {
            if (n == 1)
                atomic_store(&fail_fired, true);
            return n == 1;
        }
    }
    return false;
}

static void note_peak(size_t now)
{
    size_t old = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > old && !atomic_compare_exchange_weak(&peak, &old, now))
        ;
}

/* Adds to the live bytes, or refuses. */
static bool reserve(size_t bytes)
{
    size_t cap = mem_budget();
    size_t old = atomic_load_explicit(&live, memory_order_relaxed);
    do {
        if (old > cap || bytes > cap - old)
            return false;
    } while (!atomic_compare_exchange_weak(&live, &old, old + bytes));
    note_peak(old + bytes);
    atomic_fetch_add_explicit(&total, bytes, memory_order_relaxed);
    if (old + bytes + atomic_load_explicit(&kept.bytes, memory_order_relaxed) > cap)
        mem_trim();
    return true;
}

static void unreserve(size_t bytes)
{
    atomic_fetch_sub_explicit(&live, bytes, memory_order_relaxed);
}

static void *place(char *raw, size_t gap, size_t size, uint32_t kind)
{
    char *p = raw + gap;
    Head *h = (Head *)(p - sizeof(Head));
    h->size = size;
    h->gap = (uint32_t)gap;
    h->kind = kind;
    return p;
}

static void *heap_block(size_t size)
{
    if (EXACT) {
        void *exact = NULL;
        if (posix_memalign(&exact, ALIGN, ALIGN + size))
            return NULL;
        return place(exact, ALIGN, size, KIND_HEAP);
    }
    char *raw = malloc(size + ALIGN);
    if (!raw)
        return NULL;
    /* malloc aligns to 16, so the gap is 16, 32, 48 or 64 */
    size_t gap = ALIGN - (uintptr_t)raw % ALIGN;
    return place(raw, gap, size, KIND_HEAP);
}

/* A mapping of len bytes whose start is aligned to a huge page. */
static char *map_aligned(size_t len)
{
    size_t wide = len + HUGE_PAGE;
    char *raw = mmap(NULL, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t head = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
    if (head > 0)
        munmap(raw, head);
    if (wide - head - len > 0)
        munmap(raw + head + len, wide - head - len);
    madvise(raw + head, len, MADV_HUGEPAGE); /* advice: failure costs speed only */
    return raw + head;
}

static bool is_large(size_t bytes)
{
    return !EXACT && bytes >= LARGE;
}

/* What a block of that many bytes really gets: mappings are whole pages. */
static size_t usable(size_t bytes)
{
    if (!is_large(bytes))
        return bytes > 0 ? bytes : 1;
    return (bytes + ALIGN + PAGE - 1) / PAGE * PAGE - ALIGN;
}

static void *large_block(size_t size, bool *fresh)
{
    char *base = keep_take(size + ALIGN);
    *fresh = !base;
    if (!base)
        base = map_aligned(size + ALIGN);
    if (!base && kept.bytes > 0) {
        mem_trim();
        base = map_aligned(size + ALIGN);
    }
    return base ? place(base, ALIGN, size, KIND_MAP) : NULL;
}

static void *take_block(size_t bytes, bool *fresh, Err *err)
{
    *fresh = false;
    if (injected())
        return refuse(bytes, "an injected fault", err);
    if (bytes > SIZE_MAX / 4)
        return refuse(bytes, "more than any machine has", err);
    size_t size = usable(bytes);
    if (!reserve(size + ALIGN))
        return refuse(bytes, "raise the budget or ask for less", err);
    void *p = is_large(bytes) ? large_block(size, fresh) : heap_block(size);
    if (!p) {
        unreserve(size + ALIGN);
        return refuse(bytes, "the system has no more", err);
    }
    return p;
}

void *mem_alloc(size_t bytes, Err *err)
{
    bool fresh;
    return take_block(bytes, &fresh, err);
}

void *mem_zalloc(size_t bytes, Err *err)
{
    bool fresh;
    void *p = take_block(bytes, &fresh, err);
    if (p && !fresh)
        memset(p, 0, bytes);
    return p;
}

void *mem_array(size_t n, size_t size, Err *err)
{
    if (size > 0 && n > SIZE_MAX / size) {
        err_set(err, ERR_MEMORY,
                "out of memory: an array of %zu items of %zu bytes is larger than any "
                "address",
                n, size);
        return NULL;
    }
    return mem_alloc(n * size, err);
}

void mem_free(void *p)
{
    if (!p)
        return;
    Head *h = head_of(p);
    char *raw = (char *)p - h->gap;
    size_t len = footprint(h);
    bool mapped = h->kind == KIND_MAP;
    h->kind = KIND_DEAD;
    unreserve(len);
    if (!mapped)
        free(raw);
    else if (!keep_put(raw, len))
        munmap(raw, len);
}

/* Grows a mapping by moving its pages rather than its bytes. */
static void *remap(Head *h, char *raw, size_t bytes, Err *err)
{
    size_t old = h->size, size = usable(bytes);
    if (size > old && !reserve(size - old))
        return refuse(bytes, "raise the budget or ask for less", err);
    char *base = mremap(raw, old + ALIGN, size + ALIGN, MREMAP_MAYMOVE);
    if (base == MAP_FAILED) {
        if (size > old)
            unreserve(size - old);
        return refuse(bytes, "the system has no more", err);
    }
    if (size < old)
        unreserve(old - size);
    madvise(base, size + ALIGN, MADV_HUGEPAGE);
    return place(base, ALIGN, size, KIND_MAP);
}

void *mem_realloc(void *p, size_t bytes, Err *err)
{
    if (!p)
        return mem_alloc(bytes, err);
    Head *h = head_of(p);
    if (h->kind == KIND_MAP && is_large(bytes) && bytes <= SIZE_MAX / 4) {
        if (injected())
            return refuse(bytes, "an injected fault", err);
        return remap(h, (char *)p - h->gap, bytes, err);
    }
    void *q = mem_alloc(bytes, err);
    if (!q)
        return NULL;
    memcpy(q, p, bytes < h->size ? bytes : h->size);
    mem_free(p);
    return q;
}

char *mem_strdup(const char *s, Err *err)
{
    size_t n = strlen(s) + 1;
    char *t = mem_alloc(n, err);
    return t ? memcpy(t, s, n) : NULL;
}

size_t mem_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

size_t mem_peak(void)
{
    return atomic_load_explicit(&peak, memory_order_relaxed);
}

void mem_peak_reset(void)
{
    atomic_store(&peak, mem_live());
}

uint64_t mem_total(void)
{
    return atomic_load_explicit(&total, memory_order_relaxed);
}

void mem_fail_at(long n)
{
    atomic_store(&fail_fired, false);
    atomic_store(&fail_countdown, n > 0 ? n : 0);
}

bool mem_fail_fired(void)
{
    return atomic_load(&fail_fired);
}
