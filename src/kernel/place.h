/* place.h -- the kernel's side of a session's place; viewers use kernel/client.h. */
#ifndef CLEAVE_KERNEL_PLACE_H
#define CLEAVE_KERNEL_PLACE_H
#include "kernel/client.h"

/* Makes the folder (0700) or checks it: no link, ours, closed to others. */
bool private_folder(const char *dir, Err *err);
/* The same for the folder of a path. */
bool private_folder_of(const char *path, Err *err);
/* Takes the session's lock for the life of the process: its descriptor, or -1 with
 * ERR_STATE when a kernel lives. */
int session_lock(const SessionPlace *p, Err *err);
bool session_write_record(const SessionPlace *p, Err *err);
#endif
