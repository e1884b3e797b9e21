/* panes.c -- the panes, in the order of their numbers. */
#include "ui/ui.h"

const PaneRow *const pane_rows[PANE_COUNT] = {
    [PANE_NOTEBOOK] = &pane_notebook, [PANE_LOG] = &pane_log,
    [PANE_RUNS] = &pane_runs,         [PANE_IMAGES] = &pane_images,
    [PANE_PLOTS] = &pane_plots,       [PANE_VARS] = &pane_vars,
    [PANE_HELP] = &pane_help,         [PANE_COMPONENTS] = &pane_components,
    [PANE_CONTROLS] = &pane_controls,
};

bool pane_in_use(const Ui *u, PaneId pane)
{
    return (pane == PANE_COMPONENTS && components_any(u)) ||
           (pane == PANE_CONTROLS && controls_any(u));
}
