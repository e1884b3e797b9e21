/* main.c -- signals that must not end the program, the locale, and the command table. A
 * write past a file-size limit or into a closed pipe is an error sentence, not a death.
 * Nothing else happens before a command is chosen: starting has to be quick. */
#include <signal.h>

#include "ui/command.h"
#include "ui/style.h"

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    style_locale();
    return (int)command_main(argc, argv);
}
