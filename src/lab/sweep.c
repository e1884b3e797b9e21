/* sweep.c -- every setting's items are expanded into texts first; a point is then one
 * digit per setting of a number in mixed radix. */
#include "lab/sweep.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "lab/fingerprint.h"
#include "lab/jval.h"

typedef struct Items {
    char **text;
    size_t n;
} Items;

static void items_done(Items *it)
{
    for (size_t i = 0; i < it->n; i++)
        mem_free(it->text[i]);
    mem_free(it->text);
}

/* "name=text". */
static bool add_item(Items *it, const char *name, size_t n_name, const char *text,
                     Err *err)
{
    size_t n = n_name + strlen(text) + 2;
    if (it->n == SWEEP_MAX_POINTS)
        return err_set(err, ERR_OPTION, "'%.*s' has more than %d values", (int)n_name,
                       name, SWEEP_MAX_POINTS);
    char **more = (it->n & (it->n - 1)) == 0
                      ? mem_realloc(it->text, 2 * (it->n + 1) * sizeof *more, err)
                      : it->text;
    if (!more)
        return false;
    it->text = more;
    char *s = mem_alloc(n, err);
    if (!s)
        return false;
    snprintf(s, n, "%.*s=%s", (int)n_name, name, text);
    it->text[it->n++] = s;
    return true;
}

static bool number_until(const char *s, const char *end, double *v)
{
    char text[64], *stop;
    size_t n = (size_t)(end - s);
    if (n == 0 || n >= sizeof text || isspace((unsigned char)s[0]))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    *v = strtod(text, &stop);
    return *stop == '\0' && isfinite(*v);
}

/* a..b or a..b:step between numbers; anything else with two dots is a text. */
static bool read_range(const char *s, double *a, double *b, double *step)
{
    const char *dots = strstr(s, ".."), *end = s + strlen(s), *colon;
    if (!dots)
        return false;
    colon = strchr(dots, ':');
    *step = 1;
    return number_until(s, dots, a) && number_until(dots + 2, colon ? colon : end, b) &&
           (!colon || number_until(colon + 1, end, step));
}

static bool add_range(Items *it, const char *name, size_t n_name, const char *item,
                      double a, double b, double step, Err *err)
{
    char text[40];
    if (step == 0 || (b - a) * step < 0)
        return err_set(err, ERR_OPTION, "the range '%.80s' never arrives at its end",
                       item);
    double count = floor((b - a) / step * (1 + 1e-12) + 1e-9);
    if (!(count < SWEEP_MAX_POINTS))
        return err_set(err, ERR_OPTION, "the range '%.80s' has more than %d values",
                       item, SWEEP_MAX_POINTS);
    for (double i = 0; i <= count; i++) {
        snprintf(text, sizeof text, "%.12g", a + i * step);
        if (!add_item(it, name, n_name, strcmp(text, "-0") == 0 ? "0" : text, err))
            return false;
    }
    return true;
}

static bool expand_setting(const char *setting, Items *it, Err *err)
{
    const char *eq = strchr(setting, '='), *s = eq ? eq + 1 : NULL;
    double a, b, step;
    bool ok = true, more = true;
    Str item;
    *it = (Items){0};
    if (!s || eq == setting)
        return err_set(
            err, ERR_OPTION,
            "'%.80s' is no setting; write name=value, name=1,2,3 or name=1..5",
            setting);
    str_init(&item);
    while (ok && more) {
        str_clear(&item);
        for (; *s && *s != ','; s++) {
            s += *s == '\\' && s[1] == ',';
            str_addc(&item, *s);
        }
        more = *s == ',';
        s += more;
        if (!str_ok(&item, err))
            ok = false;
        else if (item.len == 0 && (more || it->n > 0))
            ok = err_set(err, ERR_OPTION, "'%.80s' has an empty place in its list",
                         setting);
        else if (read_range(item.s, &a, &b, &step))
            ok =
                add_range(it, setting, (size_t)(eq - setting), item.s, a, b, step, err);
        else
            ok = add_item(it, setting, (size_t)(eq - setting), item.s, err);
    }
    str_done(&item);
    return ok;
}

/* --- marks ------------------------------------------------------------------------ */

/* A number in its shortest form, so that 1e-3 and 0.001 are one point; "007" is
 * text. */
static uint64_t mark_setting(const char *setting, uint64_t seed)
{
    const char *value = strchr(setting, '=') + 1;
    char *end, number[40];
    bool odd = value[0] == '0' && isdigit((unsigned char)value[1]);
    double v = strtod(value, &end);
    seed = fingerprint(setting, (size_t)(value - setting), seed);
    if (odd || end == value || *end || !isfinite(v) || isspace((unsigned char)value[0]))
        return fingerprint_text(value, seed);
    snprintf(number, sizeof number, "%.17g", v);
    return fingerprint_text(number, seed);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The order in which settings are given makes no difference. */
static void mark_point(SweepPoint *p, size_t n, uint64_t script)
{
    char *sorted[SWEEP_MAX_SETTINGS];
    uint64_t mark = script;
    memcpy(sorted, p->setting, n * sizeof *sorted);
    if (n > 1)
        qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n; i++)
        mark = mark_setting(sorted[i], mark);
    fingerprint_hex(mark, p->mark);
}

/* --- points ----------------------------------------------------------------------- */

static bool make_point(Sweep *s, const Items *it, size_t number, uint64_t script,
                       json_t *seen, Err *err)
{
    SweepPoint *p = &s->point[s->n];
    p->setting = mem_zalloc((s->n_settings + 1) * sizeof *p->setting, err);
    if (!p->setting)
        return false;
    s->n++;
    for (size_t i = s->n_settings; i-- > 0;) {
        p->setting[i] = mem_strdup(it[i].text[number % it[i].n], err);
        if (!p->setting[i])
            return false;
        number /= it[i].n;
    }
    mark_point(p, s->n_settings, script);
    if (json_object_get(seen, p->mark)) {
        for (size_t i = 0; i < s->n_settings; i++)
            mem_free(p->setting[i]);
        mem_free(p->setting);
        s->n--;
        return true;
    }
    return json_object_set_new(seen, p->mark, json_true()) == 0 ||
           err_set(err, ERR_MEMORY, "out of memory while expanding the grid");
}

static bool list_varied(Sweep *s, const Items *it, Err *err)
{
    Str t;
    str_init(&t);
    for (size_t i = 0; i < s->n_settings; i++) {
        const char *text = it[i].text[0];
        int n = (int)strcspn(text, "=");
        if (it[i].n > 1 && !(n == 4 && strncmp(text, "seed", 4) == 0))
            str_addf(&t, "%s%.*s", t.len ? "," : "", n, text);
    }
    s->varied = str_ok(&t, err) ? mem_strdup(t.s ? t.s : "", err) : NULL;
    str_done(&t);
    return s->varied != NULL;
}

static bool no_repeats(char *const *grid, int n, Err *err)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) {
            size_t len = strcspn(grid[i], "=") + 1;
            if (strncmp(grid[i], grid[k], len) == 0)
                return err_set(err, ERR_OPTION,
                               "'%.*s' is given twice; put its values into one list",
                               (int)len - 1, grid[i]);
        }
    }
    return true;
}

bool sweep_expand(const char *script, size_t n, char *const *grid, int n_grid,
                  Sweep *out, Err *err)
{
    Items it[SWEEP_MAX_SETTINGS] = {0};
    uint64_t mark = fingerprint(script, n, 0), whole = mark;
    size_t points = 1;
    *out = (Sweep){.n_settings = (size_t)n_grid};
    if (n_grid > SWEEP_MAX_SETTINGS)
        return err_set(err, ERR_OPTION, "a sweep has at most %d settings",
                       SWEEP_MAX_SETTINGS);
    bool ok = no_repeats(grid, n_grid, err);
    for (int i = 0; ok && i < n_grid; i++) {
        ok = expand_setting(grid[i], &it[i], err);
        whole = fingerprint_text(grid[i], whole);
        points *= ok ? it[i].n : 1;
        if (ok && points > SWEEP_MAX_POINTS)
            ok = err_set(err, ERR_OPTION, "this grid has more than %d points",
                         SWEEP_MAX_POINTS);
    }
    fingerprint_hex(whole, out->mark);
    json_t *seen = json_object();
    if (ok && !seen)
        ok = err_set(err, ERR_MEMORY, "out of memory while expanding the grid");
    out->point = ok ? mem_array(points, sizeof *out->point, err) : NULL;
    ok = ok && out->point && list_varied(out, it, err);
    for (size_t i = 0; ok && i < points; i++)
        ok = make_point(out, it, i, mark, seen, err);
    json_decref(seen);
    for (int i = 0; i < n_grid; i++)
        items_done(&it[i]);
    if (!ok)
        sweep_done(out);
    return ok;
}

void sweep_done(Sweep *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < s->n_settings; k++)
            mem_free(s->point[i].setting[k]);
        mem_free(s->point[i].setting);
    }
    mem_free(s->point);
    mem_free(s->varied);
    *s = (Sweep){0};
}

/* --- launchers -------------------------------------------------------------------- */

static bool read_count(const char *name, size_t *v)
{
    const char *s = getenv(name);
    char *end;
    if (!s || !isdigit((unsigned char)s[0]))
        return false;
    *v = strtoul(s, &end, 10);
    return *end == '\0';
}

/* A batch script on its own has the job's variables too, but no step: it is one
 * process. */
static bool slurm_task(size_t *rank, size_t *size)
{
    if (getenv("SLURM_JOB_ID") && !getenv("SLURM_STEP_ID") && !getenv("SLURM_STEPID"))
        return false;
    return read_count("SLURM_PROCID", rank) &&
           (read_count("SLURM_STEP_NUM_TASKS", size) ||
            read_count("SLURM_NTASKS", size));
}

static bool slurm_element(size_t *rank, size_t *size)
{
    size_t id, least = 0, step = 1;
    if (!read_count("SLURM_ARRAY_TASK_ID", &id) ||
        !read_count("SLURM_ARRAY_TASK_COUNT", size))
        return false;
    read_count("SLURM_ARRAY_TASK_MIN", &least);
    read_count("SLURM_ARRAY_TASK_STEP", &step);
    *rank = id < least || step == 0 ? *size : (id - least) / step;
    return true;
}

bool sweep_share(size_t *rank, size_t *size, Err *err)
{
    size_t element = 0, elements = 1;
    *rank = 0;
    *size = 1;
    bool task = (read_count("OMPI_COMM_WORLD_RANK", rank) &&
                 read_count("OMPI_COMM_WORLD_SIZE", size)) ||
                (read_count("PMI_RANK", rank) && read_count("PMI_SIZE", size)) ||
                slurm_task(rank, size);
    if (!task) {
        *rank = 0;
        *size = 1;
    }
    slurm_element(&element, &elements);
    if (*rank >= *size || element >= elements)
        return err_set(
            err, ERR_OPTION,
            "the launcher says that this is process %zu of %zu; a Slurm array "
            "has to be a range such as 0-9",
            (element >= elements ? element : *rank) + 1,
            element >= elements ? elements : *size);
    *rank += element * *size;
    *size *= elements;
    return true;
}
