/* panes.c -- the panes, in the order of their numbers. */
#include "ui/ui.h"

const PaneRow *const pane_rows[PANE_COUNT] = {
    [PANE_NOTEBOOK] = &pane_notebook, [PANE_LOG] = &pane_log,
    [PANE_RUNS] = &pane_runs,         [PANE_IMAGES] = &pane_images,
    [PANE_PLOTS] = &pane_plots,       [PANE_VARS] = &pane_vars,
    [PANE_HELP] = &pane_help,
};
