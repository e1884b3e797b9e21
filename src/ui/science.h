/* science.h -- what the panes of runs, images and plots know of each other. */
#ifndef CLEAVE_UI_SCIENCE_H
#define CLEAVE_UI_SCIENCE_H
#include "lab/runs.h"
#include "ui/ui.h"

typedef struct MarkedRun {
    char *dir;
    char label[24];
    char *group; /* name and settings without the seed: runs that differ by chance */
    Curves *curves;
} MarkedRun;
int runs_n_marked(const Ui *u);
const MarkedRun *runs_marked(const Ui *u, int i);
/* Reads runs and marked curves again when one of them may have gone on. */
void runs_keep_up(Ui *u);
/* Adds a run's pictures to the images pane; how many. */
int images_of_run(Ui *u, const char *dir);
bool plots_any(const Ui *u);
/* Keeps the event for the components pane if it is a set of components: 1, else 0. */
int components_take(Ui *u, const json_t *event, const char *dir);
#endif
