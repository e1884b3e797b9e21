/* archive.c -- the reader is libzip's; the writer is our own, because libzip writes to
 * its own temporary files and keeps whole archives in memory, and because files that we
 * write must survive every failure the same way. The written layout: local header and
 * data of each member in turn, then the central directory. Sizes of 4 GiB and more, and
 * offsets behind such members, are in ZIP64 fields. */
#include "tensor/archive.h"

#include <string.h>
#include <zip.h>
#include <zlib.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/decode.h"

/* ---- reading --------------------------------------------------------------------- */

struct Archive {
    zip_t *zip;
    char *name;
};

static Archive *archive_new(const char *name, Err *err)
{
    Archive *a = mem_zalloc(sizeof *a, err);
    if (a && !(a->name = mem_strdup(name, err))) {
        mem_free(a);
        a = NULL;
    }
    return a;
}

void archive_close(Archive *a)
{
    if (!a)
        return;
    if (a->zip)
        zip_discard(a->zip);
    mem_free(a->name);
    mem_free(a);
}

static ErrCode code_of(const zip_error_t *e)
{
    int code = zip_error_code_zip(e);
    return code == ZIP_ER_MEMORY ? ERR_MEMORY
           : code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_NOENT
               ? ERR_IO
               : ERR_FORMAT;
}

/* Takes the source, whether it works or not. */
static Archive *open_source(zip_source_t *source, zip_error_t *e, const char *name,
                            Err *err)
{
    Archive *a = source ? archive_new(name, err) : NULL;
    if (a && (a->zip = zip_open_from_source(source, ZIP_RDONLY, e)))
        return a;
    if (!source || a)
        err_set(err, code_of(e), "'%s' is not a readable zip archive: %s", name,
                zip_error_strerror(e));
    if (source)
        zip_source_free(source);
    archive_close(a);
    return NULL;
}

Archive *archive_open(const char *path, Err *err)
{
    zip_error_t e;
    if (file_is_dir(path)) {
        err_set(err, ERR_IO, "cannot read '%s': it is a folder", path);
        return NULL;
    }
    zip_error_init(&e);
    Archive *a = open_source(zip_source_file_create(path, 0, -1, &e), &e, path, err);
    zip_error_fini(&e);
    return a;
}

Archive *archive_parse(const void *data, size_t n, const char *name, Err *err)
{
    zip_error_t e;
    zip_error_init(&e);
    Archive *a = open_source(zip_source_buffer_create(data, n, 0, &e), &e, name, err);
    zip_error_fini(&e);
    return a;
}

int64_t archive_count(const Archive *a)
{
    return zip_get_num_entries(a->zip, 0);
}

const char *archive_name(const Archive *a, int64_t i)
{
    const char *name = zip_get_name(a->zip, (zip_uint64_t)i, 0);
    return name ? name : "";
}

int64_t archive_find(const Archive *a, const char *name)
{
    return zip_name_locate(a->zip, name, 0);
}

static bool read_failed(const Archive *a, int64_t i, const char *why, Err *err)
{
    char shown[SHOWN_CAP];
    return err_set(err, ERR_FORMAT, "'%s': the member '%s' cannot be read: %s", a->name,
                   text_shown(archive_name(a, i), shown), why);
}

/* Until the end, which is where libzip compares the CRC. */
static bool read_member(Archive *a, zip_file_t *f, int64_t i, char *dst, size_t size,
                        Err *err)
{
    enum { STEP = 4 << 20 };
    size_t at = 0;
    char extra;
    while (at < size) {
        size_t want = size - at < STEP ? size - at : STEP;
        zip_int64_t got = zip_fread(f, dst + at, want);
        if (got < 0)
            return read_failed(a, i, zip_error_strerror(zip_file_get_error(f)), err);
        if (got == 0)
            return read_failed(a, i, "it is shorter than the directory says", err);
        at += (size_t)got;
        if (!intr_check(err))
            return false;
    }
    zip_int64_t more = zip_fread(f, &extra, 1);
    if (more < 0)
        return read_failed(a, i, zip_error_strerror(zip_file_get_error(f)), err);
    return more == 0 || read_failed(a, i, "it is longer than the directory says", err);
}

bool archive_read(Archive *a, int64_t i, void **data, size_t *n, Err *err)
{
    zip_stat_t st;
    *data = NULL;
    *n = 0;
    if (i < 0 || i >= archive_count(a) ||
        zip_stat_index(a->zip, (zip_uint64_t)i, 0, &st) != 0)
        return err_set(err, ERR_FORMAT, "'%s': a member is missing", a->name);
    if (st.valid & ZIP_STAT_ENCRYPTION_METHOD && st.encryption_method != ZIP_EM_NONE)
        return read_failed(a, i, "it is encrypted", err);
    if (!(st.valid & ZIP_STAT_SIZE) || st.size > SIZE_MAX / 2)
        return read_failed(a, i, "its size is unknown", err);
    char *buf = mem_alloc((size_t)st.size + 1, err);
    if (!buf)
        return err_prefix(err, "'%s'", a->name);
    zip_file_t *f = zip_fopen_index(a->zip, (zip_uint64_t)i, 0);
    bool ok = f ? read_member(a, f, i, buf, (size_t)st.size, err)
                : read_failed(a, i, zip_error_strerror(zip_get_error(a->zip)), err);
    if (f)
        zip_fclose(f);
    if (!ok) {
        mem_free(buf);
        return false;
    }
    buf[st.size] = '\0';
    *data = buf;
    *n = (size_t)st.size;
    return true;
}

/* ---- writing --------------------------------------------------------------------- */

enum {
    LOCAL_SIGN = 0x04034b50,
    CENTRAL_SIGN = 0x02014b50,
    END_SIGN = 0x06054b50,
    END64_SIGN = 0x06064b50,
    LOCATOR_SIGN = 0x07064b50,
    UTF8_NAMES = 1 << 11,
    FIRST_DAY = 1 << 5 | 1, /* 1980-01-01, the earliest date there is */
};
#define LARGE 0xffffffffu

struct ArchiveOut {
    FileOut *f;
    Str directory; /* the central directory so far */
    uint64_t at;   /* bytes written */
    uint64_t count;
};

/* Little-endian, n bytes. */
static void put(Str *s, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        str_addc(s, (char)(v >> 8 * i));
}

static bool write_out(ArchiveOut *o, const void *data, size_t n, Err *err)
{
    o->at += n;
    return n == 0 || fileout_write(o->f, data, n, err);
}

ArchiveOut *archiveout_open(const char *path, Err *err)
{
    ArchiveOut *o = mem_zalloc(sizeof *o, err);
    if (!o)
        return NULL;
    str_init(&o->directory);
    if ((o->f = fileout_open(path, err)))
        return o;
    archiveout_abort(o);
    return NULL;
}

static void archiveout_free(ArchiveOut *o)
{
    str_done(&o->directory);
    mem_free(o);
}

void archiveout_abort(ArchiveOut *o)
{
    if (!o)
        return;
    fileout_abort(o->f);
    archiveout_free(o);
}

/* What local and central headers share, from "version needed" to the extra length. */
static void put_common(Str *s, const char *name, uint32_t crc, uint64_t size,
                       uint64_t extra)
{
    bool wide = size >= LARGE;
    put(s, extra ? 45 : 20, 2);
    put(s, UTF8_NAMES, 2);
    put(s, 0, 2); /* stored */
    put(s, 0, 2);
    put(s, FIRST_DAY, 2);
    put(s, crc, 4);
    put(s, wide ? LARGE : size, 4);
    put(s, wide ? LARGE : size, 4);
    put(s, strlen(name), 2);
    put(s, extra, 2);
}

static void put_local(Str *s, const char *name, uint32_t crc, uint64_t size)
{
    bool wide = size >= LARGE;
    put(s, LOCAL_SIGN, 4);
    put_common(s, name, crc, size, wide ? 20 : 0);
    str_add(s, name);
    if (wide) {
        put(s, 1, 2);
        put(s, 16, 2);
        put(s, size, 8);
        put(s, size, 8);
    }
}

static void put_central(Str *s, const char *name, uint32_t crc, uint64_t size,
                        uint64_t offset)
{
    bool wide = size >= LARGE, far = offset >= LARGE;
    uint64_t payload = (wide ? 16u : 0u) + (far ? 8u : 0u);
    put(s, CENTRAL_SIGN, 4);
    put(s, 3 << 8 | 45, 2); /* made by: Unix, version 4.5 */
    put_common(s, name, crc, size, payload ? payload + 4 : 0);
    put(s, 0, 2 + 2 + 2);
    put(s, 0100644u << 16, 4);
    put(s, far ? LARGE : offset, 4);
    str_add(s, name);
    if (payload) {
        put(s, 1, 2);
        put(s, payload, 2);
        put(s, size, wide ? 8 : 0);
        put(s, size, wide ? 8 : 0);
        put(s, offset, far ? 8 : 0);
    }
}

static uint32_t crc_more(uint32_t crc, const void *data, size_t n)
{
    return (uint32_t)crc32_z(crc, data, n);
}

bool archiveout_add(ArchiveOut *o, const char *name, const void *head, size_t n_head,
                    const void *body, size_t n_body, Err *err)
{
    Str local;
    if (strlen(name) > 4096)
        return err_set(err, ERR_FORMAT, "the member name '%.40s...' is too long", name);
    uint32_t crc = crc_more(0, "", 0);
    crc = n_head ? crc_more(crc, head, n_head) : crc;
    crc = n_body ? crc_more(crc, body, n_body) : crc;
    uint64_t offset = o->at, size = (uint64_t)n_head + n_body;
    str_init(&local);
    put_local(&local, name, crc, size);
    put_central(&o->directory, name, crc, size, offset);
    o->count++;
    bool ok = str_ok(&local, err) && str_ok(&o->directory, err) &&
              write_out(o, local.s, local.len, err) &&
              write_out(o, head, n_head, err) && write_out(o, body, n_body, err);
    str_done(&local);
    return ok;
}

static void put_end(ArchiveOut *o, Str *s)
{
    uint64_t size = o->directory.len, begin = o->at;
    bool wide = begin >= LARGE || size >= LARGE || o->count >= 0xffff;
    if (wide) {
        put(s, END64_SIGN, 4);
        put(s, 44, 8);
        put(s, 3 << 8 | 45, 2);
        put(s, 45, 2);
        put(s, 0, 4 + 4);
        put(s, o->count, 8);
        put(s, o->count, 8);
        put(s, size, 8);
        put(s, begin, 8);
        put(s, LOCATOR_SIGN, 4);
        put(s, 0, 4);
        put(s, begin + size, 8);
        put(s, 1, 4);
    }
    put(s, END_SIGN, 4);
    put(s, 0, 2 + 2);
    put(s, o->count < 0xffff ? o->count : 0xffff, 2);
    put(s, o->count < 0xffff ? o->count : 0xffff, 2);
    put(s, size < LARGE ? size : LARGE, 4);
    put(s, begin < LARGE ? begin : LARGE, 4);
    put(s, 0, 2);
}

bool archiveout_commit(ArchiveOut *o, Err *err)
{
    Str end;
    str_init(&end);
    put_end(o, &end);
    bool ok = str_ok(&o->directory, err) && str_ok(&end, err) &&
              write_out(o, o->directory.s, o->directory.len, err) &&
              write_out(o, end.s, end.len, err);
    if (ok)
        ok = fileout_commit(o->f, err);
    else
        fileout_abort(o->f);
    str_done(&end);
    archiveout_free(o);
    return ok;
}
