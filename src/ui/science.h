/* science.h -- what the panes of runs, images and plots know of each other. */
#ifndef CLEAVE_UI_SCIENCE_H
#define CLEAVE_UI_SCIENCE_H
#include "lab/runs.h"
#include "ui/ui.h"

typedef struct MarkedRun {
    char *dir;
    char label[24];
    Curves *curves;
} MarkedRun;
int runs_n_marked(const Ui *u);
const MarkedRun *runs_marked(const Ui *u, int i);
/* Adds a run's pictures to the images pane; how many. */
int images_of_run(Ui *u, const char *dir);
bool plots_any(const Ui *u);
/* Keeps the event for the components pane if it is a set of components: 1, else 0. */
int components_take(Ui *u, const json_t *event, const char *dir);
#endif
