/* linger.h -- whether a process of ours outlives the user's logout. systemd can end all
 * processes of a login session (KillUserProcesses in logind.conf), and ends what its
 * user manager runs with the last session unless the user lingers. */
#ifndef CLEAVE_KERNEL_LINGER_H
#define CLEAVE_KERNEL_LINGER_H
#include <stdbool.h>
#include <stddef.h>

/* false: the process ends at logout, and `why` says in one sentence why and what helps.
 * root: "" (another one in tests); cgroup: the text of /proc/<pid>/cgroup. */
bool linger_outlives(const char *root, const char *cgroup, const char *user, char *why,
                     size_t cap);
/* The same for a process of this machine. */
bool linger_process(long pid, char *why, size_t cap);
#endif
