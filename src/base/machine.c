/* machine.c -- how much memory there is for us. In a container or a batch job the
 * kernel kills at the control group's limit, not at the size of the machine, so the
 * version 2 limits on the way from our group up to the root count as well. Nothing here
 * allocates: it is asked for by the allocator. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static bool read_small(const char *path, char *dst, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, dst, cap - 1);
    close(fd);
    dst[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static size_t one_limit(const char *root, const char *group, int group_len)
{
    char path[PATH_MAX], text[64], *end;
    int n = snprintf(path, sizeof path, "%s%.*s/memory.max", root, group_len, group);
    if (n < 0 || (size_t)n >= sizeof path || !read_small(path, text, sizeof text))
        return SIZE_MAX;
    unsigned long long v = strtoull(text, &end, 10); /* "max" means no limit */
    return end == text || v >= SIZE_MAX ? SIZE_MAX : (size_t)v;
}

size_t mem_group_limit(const char *root, const char *group)
{
    size_t least = one_limit(root, "", 0);
    for (size_t n = strlen(group); n > 0 && n < PATH_MAX; n--) {
        if (group[n] != '\0' && group[n] != '/')
            continue;
        size_t here = one_limit(root, group, (int)n);
        least = here < least ? here : least;
    }
    return least;
}

size_t mem_machine(void)
{
    char text[PATH_MAX];
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t all = SIZE_MAX / 4, group = SIZE_MAX;
    if (pages > 0 && size > 0)
        all = (size_t)pages * (size_t)size;
    if (read_small("/proc/self/cgroup", text, sizeof text)) {
        char *mine = strstr(text, "0::"); /* the one hierarchy of version 2 */
        if (mine && (mine == text || mine[-1] == '\n')) {
            mine[strcspn(mine, "\n")] = '\0';
            group = mem_group_limit("/sys/fs/cgroup", mine + 3);
        }
    }
    return group < all ? group : all;
}
