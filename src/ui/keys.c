/* keys.c -- the one table of keys and commands. The list behind ?, the palette, the
 * command line and the manual page are made from it, so a row that is here works and is
 * documented, and nothing else is. */
#include <string.h>

#include "ui/act.h"

/* Shorthands: all panes but those where the keys mean something else. */
#define ALL    S_PANES
#define LISTS  (S_PANES & ~(unsigned)S_PICTURES)

// One row a line, however long.
// clang-format off
const KeyRow key_rows[] = {
    /* --- notebook, command mode --- */
    {S_NOTEBOOK, "<Enter>", "edit", "", "edit the cell", act_edit},
    {S_NOTEBOOK, "r <F6> <S-Enter>", "run", "", "run the cell, select the next", act_run_next},
    {S_NOTEBOOK, "<F5> <C-Enter>", "run-stay", "", "run the cell, stay", act_run_stay},
    {S_NOTEBOOK, "R", "run-below", "", "run this cell and all below", act_run_below},
    {S_NOTEBOOK, "", "run-all", "", "run all cells", act_run_all},
    {S_NOTEBOOK, "<A-Enter>", "run-insert", "", "run the cell, edit a new one below", act_run_insert},
    {S_NOTEBOOK, "a", "insert-above", "", "new cell above", act_insert_above},
    {S_NOTEBOOK, "b", "insert-below", "", "new cell below", act_insert_below},
    {S_NOTEBOOK, "dd", "delete", "", "delete the cell", act_delete},
    {S_NOTEBOOK, "x", "cut", "", "cut the cell", act_cut},
    {S_NOTEBOOK, "c", "copy-cell", "", "copy the cell", act_copy_cell},
    {S_NOTEBOOK, "v", "paste", "", "paste the cell below", act_paste},
    {S_NOTEBOOK, "u", "undo", "", "take back the last change of the notebook", act_undo},
    {S_NOTEBOOK, "J", "move-down", "", "move the cell down", act_move_down},
    {S_NOTEBOOK, "K", "move-up", "", "move the cell up", act_move_up},
    {S_NOTEBOOK, "M", "merge", "", "join the cell and the next", act_merge},
    {S_NOTEBOOK, "m", "markdown", "", "make it a Markdown cell", act_to_markdown},
    {S_NOTEBOOK, "y", "code", "", "make it a code cell", act_to_code},
    {S_NOTEBOOK, "", "raw", "", "make it a raw cell", act_to_raw},
    {S_NOTEBOOK, "", "title", "TEXT", "title of the cell, kept in its marker line", act_title},
    {S_NOTEBOOK, "o", "fold", "", "fold or show the output", act_fold},
    {S_NOTEBOOK, "O", "fold-code", "", "fold or show the code", act_fold_source},
    {S_NOTEBOOK, "<Space>", "expand", "", "show more of a long output, or less", act_expand},
    {S_NOTEBOOK, "zM", "fold-all", "", "fold all code", act_fold_all},
    {S_NOTEBOOK, "zR", "unfold-all", "", "unfold all code and outputs", act_unfold_all},
    {S_NOTEBOOK, "e", "editor", "", "edit the cell in $VISUAL or $EDITOR", act_editor},
    {ALL, "ii", "interrupt", "", "stop the running cell, empty the queue", act_interrupt},
    {ALL, "00", "restart", "", "restart the kernel (asks)", act_restart},
    {ALL, "", "cancel", "", "take waiting cells out of the queue", act_clear_queue},
    {S_NOTEBOOK, "w", "save", "[FILE]", "save the notebook", act_save},
    {S_NOTEBOOK, "", "save!", "[FILE]", "save although the file was changed on disk", act_save_force},
    {S_NOTEBOOK, "", "reload", "", "take the file's text from disk", act_reload},
    {S_NOTEBOOK, "", "export", "[FILE]", "write the notebook with its outputs: .html .md .ipynb .lua", act_export},
    {S_NOTEBOOK, "", "export!", "[FILE]", "the same, over a file that is there", act_export_force},

    /* --- text of a cell --- */
    {S_EDIT, "<Esc>", "end-edit", NULL, "back to command mode", act_text_leave},
    {S_EDIT, "<F6> <S-Enter>", "edit-run", NULL, "run the cell, select the next", act_text_run_next},
    {S_EDIT, "<F5> <C-Enter>", "edit-run-stay", NULL, "run the cell, go on editing", act_text_run_stay},
    {S_EDIT, "<A-Enter>", "edit-run-insert", NULL, "run the cell, edit a new one below", act_text_run_insert},
    {S_EDIT, "<Enter> <C-j>", "newline", NULL, "new line, indented", act_text_newline},
    {S_EDIT, "<Tab>", "tab", NULL, "indent, or complete the name", act_text_tab},
    {S_EDIT, "<A-/>", "complete", NULL, "complete the name", act_text_complete},
    {S_EDIT, "<S-Tab>", "outdent", NULL, "indent the line or region less", act_text_outdent},
    {S_EDIT, "<F1> <A-?>", "help-name", NULL, "what the name at the cursor is", act_text_help},
    {S_EDIT, "<C-r>", "history", NULL, "search earlier texts", act_text_history},
    {S_EDIT, "<C-x>k <C-x>?", "edit-keys", NULL, "list the keys of editing", act_keys},
    {S_EDIT, "<C-x>s", "split", NULL, "split the cell at the cursor", act_text_split},
    {S_EDIT, "<C-x>r", "revert", NULL, "the text as it was before editing", act_text_revert},
    {S_EDIT, "<C-x>w", "edit-save", NULL, "save the notebook", act_text_save},
    {S_EDIT, "<C-x>m <A-m>", "match", NULL, "to the matching bracket or block end", act_text_match},
    {S_EDIT, "<C-c>", "edit-cancel", NULL, "stop the running cell", act_text_cancel},
    {S_EDIT, "<Up> <C-p>", "up", NULL, "line up", act_text_up},
    {S_EDIT, "<Down> <C-n>", "down", NULL, "line down", act_text_down},
    {S_EDIT, "<PgUp>", "text-page-up", NULL, "half a screen up", act_text_page_up},
    {S_EDIT, "<PgDn>", "text-page-down", NULL, "half a screen down", act_text_page_down},
    {S_EDIT, "<A-lt> <C-Home>", "text-first", NULL, "start of the text", act_text_first},
    {S_EDIT, "<A-gt> <C-End>", "text-last", NULL, "end of the text", act_text_last},
    {S_TEXT, "<Left> <C-b>", "left", NULL, "character left", act_text_left},
    {S_TEXT, "<Right> <C-f>", "right", NULL, "character right", act_text_right},
    {S_TEXT, "<Home> <C-a>", "line-start", NULL, "start of the line", act_text_start},
    {S_TEXT, "<End> <C-e>", "line-end", NULL, "end of the line", act_text_end},
    {S_TEXT, "<A-b> <C-Left>", "word-left", NULL, "word left", act_text_word_left},
    {S_TEXT, "<A-f> <C-Right>", "word-right", NULL, "word right", act_text_word_right},
    {S_TEXT, "<Backspace>", "backspace", NULL, "delete the character before", act_text_backspace},
    {S_TEXT, "<Delete> <C-d>", "delete-right", NULL, "delete the character at the cursor", act_text_delete},
    {S_TEXT, "<C-k>", "kill-line", NULL, "kill to the end of the line", act_text_kill_line},
    {S_TEXT, "<C-u>", "kill-start", NULL, "kill to the start of the line", act_text_kill_start},
    {S_TEXT, "<C-w> <A-Backspace>", "kill-word-left", NULL, "kill the word before, or the region", act_text_kill_word_left},
    {S_TEXT, "<A-d>", "kill-word", NULL, "kill the word after", act_text_kill_word},
    {S_TEXT, "<C-y>", "yank", NULL, "insert what was killed", act_text_yank},
    {S_TEXT, "<A-y>", "yank-older", NULL, "right after: what was killed before that", act_text_yank_older},
    {S_TEXT, "<C-t>", "transpose", NULL, "swap the two characters at the cursor", act_text_transpose},
    {S_TEXT, "<C-_> <C-x>u", "text-undo", NULL, "undo", act_text_undo},
    {S_TEXT, "<A-_> <C-x><C-u>", "text-redo", NULL, "redo", act_text_redo},
    {S_EDIT, "<C-@> <C-Space>", "mark", NULL, "begin or end a region", act_text_mark},
    {S_EDIT, "<A-w>", "copy-region", NULL, "copy the region", act_text_copy_region},

    /* --- the line at the bottom --- */
    {S_PROMPT, "<Enter>", "prompt-enter", NULL, "do it", act_prompt_enter},
    {S_PROMPT, "<Esc> <C-c> <C-g>", "prompt-close", NULL, "give it up", act_prompt_close},
    {S_PROMPT, "<Up> <C-p>", "prompt-older", NULL, "the command before", act_prompt_older},
    {S_PROMPT, "<Down> <C-n>", "prompt-newer", NULL, "the command after", act_prompt_newer},
    {S_PROMPT, "<Tab>", "prompt-complete", NULL, "complete the command", act_prompt_complete},

    /* --- all panes --- */
    {ALL, "1", "notebook", "", "the notebook", act_pane_notebook},
    {ALL, "2", "log", "", "the log of all cells", act_pane_log},
    {ALL, "3", "runs", "", "the runs", act_pane_runs},
    {ALL, "4", "images", "", "the images", act_pane_images},
    {ALL, "5", "plots", "", "the metrics", act_pane_plots},
    {ALL, "6", "variables", "", "the variables", act_pane_vars},
    {ALL, "7", "reference", "", "the reference", act_pane_help},
    {ALL, "8", "components", "", "the components of a dictionary", act_pane_components},
    {ALL, "9", "controls", "", "displays that arrow keys change, such as the gauge dial", act_pane_controls},
    {ALL, "<Tab>", "next-pane", "", "focus the next pane", act_pane_next},
    {ALL, "<S-Tab>", "previous-pane", "", "focus the pane before", act_pane_previous},
    {S_PANES & ~(unsigned)S_NOTEBOOK, "z", "zoom-pane", NULL, "this pane only, or all", act_zoom},
    {LISTS & ~(unsigned)S_PLOTS, "+", "zoom", "", "this pane only, or all", act_zoom},
    {LISTS & ~(unsigned)S_PLOTS, "_", "unzoom", "", "all panes", act_unzoom},
    {LISTS & ~(unsigned)S_PLOTS, "j <Down>", "next", NULL, "next cell, row or line", act_select_down},
    {LISTS & ~(unsigned)S_PLOTS, "k <Up>", "previous", NULL, "cell, row or line before", act_select_up},
    {LISTS & ~(unsigned)S_PLOTS & ~(unsigned)S_LOG, "g <Home>", "first", "", "first one", act_select_first},
    {LISTS & ~(unsigned)S_PLOTS & ~(unsigned)S_LOG, "G <End>", "last", "", "last one", act_select_last},
    {ALL, "<PgUp>", "page-up", NULL, "a page up", act_page_up},
    {ALL, "<PgDn>", "page-down", NULL, "a page down", act_page_down},
    {ALL, "<C-u>", "half-up", NULL, "half a page up", act_half_up},
    {ALL, "<C-d>", "half-down", NULL, "half a page down", act_half_down},
    {ALL, "<C-y>", "line-up", NULL, "a line up", act_line_up},
    {ALL, "<C-e>", "line-down", NULL, "a line down", act_line_down},
    {ALL, "/", "find", "[TEXT]", "search", act_find},
    {ALL, "n", "find-next", NULL, "next match", act_find_next},
    {S_PANES & ~(unsigned)S_PICTURES, "N", "find-previous", NULL, "match before", act_find_previous},
    {S_PANES & ~(unsigned)S_NOTEBOOK, "f", "filter", "[TEXT]", "show only what fits", act_filter},
    {ALL, "Y", "copy", "", "copy to the terminal's clipboard (OSC 52)", act_copy},
    {ALL, "?", "keys", "", "list the keys of this pane", act_keys},
    {ALL, "<F1>", "help", "[NAME]", "the reference, or a name of it", act_help},
    {ALL, ":", "command", NULL, "command line", act_command_line},
    {ALL, "<C-p> <C-Space> <C-@>", "commands", "", "list all commands", act_palette},
    {ALL, "", "set", "[NAME VALUE]", "settings: theme, editing, highlight, mouse, images", act_set},
    {ALL, "", "theme", "", "the next theme", act_theme},
    {ALL, "<Esc>", "back", NULL, "back to the notebook", act_escape},
    {ALL, "<C-c>", "stop", NULL, "stop the running cell (never leaves)", act_cancel},
    {ALL, "q", "quit", "", "back to the notebook, then leave; the session goes on", act_leave},
    {ALL, "D", "detach", "", "leave at once; the session goes on", act_detach},
    {ALL, "", "shutdown", "", "end the session (asks)", act_shutdown},
    {ALL, "", "tour", "", "open the five-minute tour", act_tour},
    {S_ANY, "<C-l>", "redraw", "", "draw the screen anew", act_redraw},
    {ALL, "<C-z>", "suspend", "", "suspend the viewer", act_suspend},

    /* --- single panes --- */
    {S_LOG, "G F <End>", "follow", "", "follow the end of the log", act_log_follow},
    {S_LOG, "g <Home>", "log-first", NULL, "first line that is kept", act_select_first},
    {S_LOG, "c", "log-cell", "", "only the selected cell's lines, or all", act_log_cell},
    {S_VARS, "<Enter>", "inspect", "[NAME]", "look at a variable", act_vars_inspect},
    {S_VARS, "r", "refresh", NULL, "ask again", act_vars_refresh},
    {S_HELP, "<Enter>", "ask", NULL, "ask for a name", act_help_open},
    {S_HELP, "<Backspace> l", "all-names", NULL, "back to all names", act_help_back},
    {S_RUNS, "]", "sort-next", NULL, "sort by the next column", act_runs_sort_next},
    {S_RUNS, "[", "sort-previous", NULL, "sort by the column before", act_runs_sort_previous},
    {S_RUNS, "-", "reverse", NULL, "the other way round", act_runs_reverse},
    {S_RUNS, "<lt>", "column-left", NULL, "the sorted column to the left", act_runs_column_left},
    {S_RUNS, ">", "column-right", NULL, "the sorted column to the right", act_runs_column_right},
    {S_RUNS, "x", "hide-column", NULL, "hide the sorted column", act_runs_hide},
    {S_RUNS, "U", "all-columns", "", "show hidden columns again", act_runs_unhide},
    {S_RUNS, "a", "mark-all", "", "mark all runs that are shown, or none", act_runs_mark_all},
    {S_RUNS, "<Space>", "mark", NULL, "mark the run: its curves join the plots", act_runs_mark},
    {S_RUNS, "c", "compare", "", "what differs between the marked runs", act_runs_compare},
    {S_RUNS, "\"", "only-marked", "", "only the marked runs, or all", act_runs_only_marked},
    {S_RUNS, "<Enter>", "open-run", NULL, "all about the run; its figures go to the images", act_runs_open},
    {S_RUNS, "r", "runs-in", "[FOLDER]", "read the runs again, or those of another folder", act_runs_refresh},
    {S_IMAGES, "h <Left>", "image-left", NULL, "image to the left", act_images_left},
    {S_IMAGES, "l <Right>", "image-right", NULL, "image to the right", act_images_right},
    {S_IMAGES, "k <Up>", "image-up", NULL, "row above, scroll up", act_images_up},
    {S_IMAGES, "j <Down>", "image-down", NULL, "row below, scroll down", act_images_down},
    {S_IMAGES, "<Enter>", "image-zoom", NULL, "enlarge the image, or the page again", act_images_zoom},
    {S_IMAGES, "]", "image-page", NULL, "next page of the gallery", act_images_next_page},
    {S_IMAGES, "[", "image-page-back", NULL, "page before", act_images_previous_page},
    {S_IMAGES, ".", "later", NULL, "the same figure, one step later", act_images_later},
    {S_IMAGES, ",", "earlier", NULL, "the same figure, one step earlier", act_images_earlier},
    {S_IMAGES, "J }", "next-figure", NULL, "next figure", act_images_next_figure},
    {S_IMAGES, "K {", "previous-figure", NULL, "figure before", act_images_previous_figure},
    {S_IMAGES, "N", "normalise", "", "scale: the page, each image, 99th percentile", act_images_scale},
    {S_PICTURES, "p", "palette", "", "zero black or white", act_palette_zero},
    {S_PICTURES, "t", "render", "", "fewer colours, then all again", act_level},
    {S_IMAGES, "|", "split", "", "a second figure beside this one, or one again", act_images_split},
    {S_IMAGES, "<Space>", "other-figure", NULL, "the other one of two figures", act_images_other},
    {S_IMAGES, "L", "link", "", "page, step, zoom and scale two figures together", act_images_link},
    {S_IMAGES, "X", "export-image", "[FILE]", "write the figure: .png .svg .pdf .csv", act_images_export},
    {S_PICTURES, "+", "image-pane", NULL, "this pane only, or all", act_zoom},
    {S_COMPONENTS, "h <Left>", "part-left", NULL, "component before", act_parts_left},
    {S_COMPONENTS, "l <Right>", "part-right", NULL, "next component", act_parts_right},
    {S_COMPONENTS, "k <Up>", "part-up", NULL, "row above, scroll up", act_parts_up},
    {S_COMPONENTS, "j <Down>", "part-down", NULL, "row below, scroll down", act_parts_down},
    {S_COMPONENTS, "g <Home>", "part-first", NULL, "first component", act_select_first},
    {S_COMPONENTS, "G <End>", "part-last", NULL, "last component", act_select_last},
    {S_COMPONENTS, "<Enter>", "part-open", NULL, "all about the component, or the gallery again", act_parts_open},
    {S_COMPONENTS, "o", "overview", "", "the whole set on a page, or the gallery again", act_parts_overview},
    {S_COMPONENTS, "]", "part-page", NULL, "next page of the gallery", act_parts_next_page},
    {S_COMPONENTS, "[", "part-page-back", NULL, "page before", act_parts_previous_page},
    {S_COMPONENTS, "s", "part-sort", NULL, "sort by the next metric", act_parts_sort_next},
    {S_COMPONENTS, "S", "part-sort-back", NULL, "sort by the metric before", act_parts_sort_previous},
    {S_COMPONENTS, "-", "part-reverse", NULL, "the smallest or the largest first", act_parts_reverse},
    {S_COMPONENTS, ".", "part-later", NULL, "the same set, one step later", act_parts_later},
    {S_COMPONENTS, ",", "part-earlier", NULL, "the same set, one step earlier", act_parts_earlier},
    {S_COMPONENTS, "J }", "next-set", NULL, "next set", act_parts_next_set},
    {S_COMPONENTS, "K {", "previous-set", NULL, "set before", act_parts_previous_set},
    {S_COMPONENTS, "N", "part-scale", NULL, "scale of the gallery: all, each, 99th percentile", act_parts_scale},
    {S_COMPONENTS, "X", "export-part", "[FILE]", "write the component or the set: .png .svg .pdf .csv", act_parts_export},
    {S_CONTROLS, "h <Left>", "less", NULL, "the control a step back", act_control_less},
    {S_CONTROLS, "l <Right>", "more", NULL, "the control a step on", act_control_more},
    {S_CONTROLS, "H <S-Left>", "much-less", NULL, "ten steps back", act_control_much_less},
    {S_CONTROLS, "L <S-Right>", "much-more", NULL, "ten steps on", act_control_much_more},
    {S_CONTROLS, "g <Home>", "least", NULL, "its least value", act_control_least},
    {S_CONTROLS, "G <End>", "most", NULL, "its largest value", act_control_most},
    {S_CONTROLS, "k <Up>", "control-up", NULL, "the control above", act_control_up},
    {S_CONTROLS, "j <Down>", "control-down", NULL, "the control below", act_control_down},
    {S_CONTROLS, "=", "reset", "", "all controls of the display as they were first", act_control_reset},
    {S_CONTROLS, "J }", "next-display", NULL, "next display", act_control_next},
    {S_CONTROLS, "K {", "previous-display", NULL, "display before", act_control_previous},
    {S_CONTROLS, "X", "export-display", "[FILE]", "write the figure: .png .svg .pdf .csv", act_control_export},
    {S_PLOTS, "j <Down>", "next-metric", NULL, "next metric", act_plot_next},
    {S_PLOTS, "k <Up>", "previous-metric", NULL, "metric before", act_plot_previous},
    {S_PLOTS, "l <Right>", "cursor-right", NULL, "cursor to the right: values below", act_plot_right},
    {S_PLOTS, "h <Left>", "cursor-left", NULL, "cursor to the left", act_plot_left},
    {S_PLOTS, "y", "log-axis", "", "logarithmic axis", act_plot_log},
    {S_PLOTS, "b", "band", "", "marked runs as mean and interval over seeds, or each", act_plot_band},
    {S_PLOTS, "s", "smooth", "", "smoothing: none, 0.6, 0.9, 0.97", act_plot_smooth},
    {S_PLOTS, "+", "fewer-steps", NULL, "half the steps, about the cursor", act_plot_narrower},
    {S_PLOTS, "_", "more-steps", NULL, "twice the steps", act_plot_wider},
    {S_PLOTS, "X", "export-plot", "[FILE]", "write the plot: .png .svg .pdf .csv", act_plot_export},
};
// clang-format on
const int key_n_rows = (int)ARRAY_LEN(key_rows);

/* How much of the chord a name has in common: n: all of it and the name ends (exact);
 * -1: the name goes on; 0: differs. */
static int compare(const char *name, const char *end, const Key *k, int n)
{
    for (int i = 0; i < n; i++) {
        Key one;
        if (name >= end || !key_parse(&name, &one) || one != k[i])
            return 0;
    }
    return name == end ? n : -1;
}

const KeyRow *keys_find(unsigned scope, const Key *k, int n, bool *more)
{
    *more = false;
    for (int i = 0; i < key_n_rows; i++) {
        if (!(key_rows[i].scope & scope))
            continue;
        for (const char *s = key_rows[i].keys; *s;) {
            size_t len = strcspn(s, " ");
            int same = compare(s, s + len, k, n);
            if (same > 0)
                return &key_rows[i];
            *more = *more || same < 0;
            s += len + (s[len] == ' ');
        }
    }
    return NULL;
}

const KeyRow *keys_command(const char *name, size_t n)
{
    for (int i = 0; i < key_n_rows; i++) {
        const KeyRow *r = &key_rows[i];
        if (r->args && strlen(r->name) == n && memcmp(r->name, name, n) == 0)
            return r;
    }
    return NULL;
}

const char *keys_scope_name(unsigned scope)
{
    if (scope == S_EDIT)
        return "editing a cell";
    if (scope == S_PROMPT)
        return "the line at the bottom";
    for (int i = 0; i < PANE_COUNT; i++) {
        if (scope == 1u << i)
            return pane_rows[i]->name;
    }
    return "everywhere";
}
