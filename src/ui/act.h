/* act.h -- what keys and commands do; the table in keys.c names them. `arg` is what
 * followed the name on the command line, "" for a key. Inside ui/ only. */
#ifndef CLEAVE_UI_ACT_H
#define CLEAVE_UI_ACT_H
#include "ui/ui.h"

// clang-format off
#define ACT(name) void act_##name(Ui *u, const char *arg)

/* act_cells.c */
ACT(edit); ACT(run_next); ACT(run_stay); ACT(run_below); ACT(run_all); ACT(run_insert);
ACT(insert_above); ACT(insert_below); ACT(delete); ACT(cut); ACT(copy_cell); ACT(paste);
ACT(undo); ACT(move_up); ACT(move_down); ACT(merge); ACT(to_markdown); ACT(to_code);
ACT(to_raw); ACT(title); ACT(fold); ACT(fold_source); ACT(fold_all); ACT(unfold_all);
ACT(expand); ACT(interrupt); ACT(cancel); ACT(restart); ACT(editor); ACT(clear_queue);

/* act_files.c */
ACT(save); ACT(save_force); ACT(reload); ACT(export); ACT(export_force);

/* act_edit.c */
ACT(text_left); ACT(text_right); ACT(text_up); ACT(text_down); ACT(text_start);
ACT(text_end); ACT(text_word_left); ACT(text_word_right); ACT(text_first);
ACT(text_last); ACT(text_page_up); ACT(text_page_down); ACT(text_newline);
ACT(text_backspace); ACT(text_delete); ACT(text_kill_line); ACT(text_kill_start);
ACT(text_kill_word); ACT(text_kill_word_left); 
ACT(text_copy_region); ACT(text_yank); ACT(text_yank_older); ACT(text_undo);
ACT(text_redo); ACT(text_mark); ACT(text_transpose); ACT(text_tab); ACT(text_outdent);
ACT(text_help); ACT(text_complete); ACT(text_history); ACT(text_split);
ACT(text_leave); ACT(text_run_next); ACT(text_run_stay); ACT(text_run_insert);
ACT(text_match); ACT(text_cancel); ACT(text_revert); ACT(text_save);

/* act_prompt.c */
ACT(prompt_enter); ACT(prompt_close); ACT(prompt_older); ACT(prompt_newer);
ACT(prompt_complete); ACT(command_line); ACT(find); ACT(find_next); ACT(find_previous);
ACT(filter); ACT(palette); ACT(keys); ACT(set); ACT(theme);

/* act_panes.c */
ACT(pane_notebook); ACT(pane_log); ACT(pane_runs); ACT(pane_images); ACT(pane_plots);
ACT(pane_vars); ACT(pane_help); ACT(pane_components); ACT(pane_controls); ACT(palette_zero); ACT(level); ACT(pane_next); ACT(pane_previous); ACT(zoom);
ACT(unzoom); ACT(select_up); ACT(select_down); ACT(select_first); ACT(select_last);
ACT(page_up); ACT(page_down); ACT(half_up); ACT(half_down); ACT(line_up);
ACT(line_down); ACT(copy); ACT(help); ACT(leave); ACT(detach); ACT(shutdown);
ACT(redraw); ACT(suspend); ACT(tour); ACT(escape);

/* the panes' own files */
ACT(log_follow); ACT(log_cell);
ACT(vars_inspect); ACT(vars_refresh);
ACT(help_open); ACT(help_back);
ACT(images_left); ACT(images_right); ACT(images_up); ACT(images_down); ACT(images_zoom);
ACT(images_next_page); ACT(images_previous_page); ACT(images_earlier);
ACT(images_later); ACT(images_scale);
ACT(images_export); ACT(images_next_figure); ACT(images_previous_figure);
ACT(images_split); ACT(images_other); ACT(images_link);
ACT(parts_left); ACT(parts_right); ACT(parts_up); ACT(parts_down); ACT(parts_open);
ACT(parts_next_page); ACT(parts_previous_page); ACT(parts_sort_next);
ACT(parts_sort_previous); ACT(parts_reverse); ACT(parts_later); ACT(parts_earlier);
ACT(parts_next_set); ACT(parts_previous_set); ACT(parts_overview); ACT(parts_scale);
ACT(parts_export);
ACT(control_less); ACT(control_more); ACT(control_much_less); ACT(control_much_more);
ACT(control_least); ACT(control_most); ACT(control_up); ACT(control_down);
ACT(control_next); ACT(control_previous); ACT(control_reset); ACT(control_export);
ACT(plot_log); ACT(plot_smooth); ACT(plot_left); ACT(plot_right); ACT(plot_next);
ACT(plot_previous); ACT(plot_wider); ACT(plot_narrower); ACT(plot_export);
ACT(runs_sort_next); ACT(runs_sort_previous); ACT(runs_reverse); ACT(runs_mark);
ACT(runs_open); ACT(runs_compare); ACT(runs_only_marked); ACT(runs_refresh);
ACT(runs_column_left); ACT(runs_column_right); ACT(runs_hide); ACT(runs_unhide);
ACT(runs_mark_all); ACT(plot_band);
#undef ACT
// clang-format on
#endif
