/* theme.c -- four themes. Palette entries below 16 follow the user's own colours;
 * above it the values are fixed. Where a terminal has 8 colours the screen brings
 * every colour to the nearest one; where it has none, only bold, dim and reverse are
 * left, so every theme says with them what it says with colours. */
#include <string.h>

#include "ui/paint.h"

#define D GRID_DEFAULT

const Theme themes[] = {
    {"dark",
     false, {
         [ROLE_TEXT] = {D, D, 0},
         [ROLE_DIM] = {244, D, CELL_DIM},
         [ROLE_STRONG] = {D, D, CELL_BOLD},
         [ROLE_BAR] = {252, 236, CELL_REVERSE},
         [ROLE_BAR_STRONG] = {231, 24, CELL_REVERSE | CELL_BOLD},
         [ROLE_TITLE] = {244, D, CELL_DIM},
         [ROLE_TITLE_FOCUS] = {75, D, CELL_BOLD},
         [ROLE_SELECT] = {220, D, CELL_BOLD},
         [ROLE_CURSOR_LINE] = {D, 236, CELL_REVERSE},
         [ROLE_BOX] = {252, 235, 0},
         [ROLE_BOX_STRONG] = {231, 24, CELL_REVERSE},
         [ROLE_ERROR] = {203, D, CELL_BOLD},
         [ROLE_WARN] = {215, D, 0},
         [ROLE_GOOD] = {114, D, 0},
         [ROLE_MATCH] = {16, 179, CELL_REVERSE},
         [ROLE_REGION] = {D, 24, CELL_REVERSE},
         [ROLE_KEYWORD] = {111, D, CELL_BOLD},
         [ROLE_STRING] = {114, D, 0},
         [ROLE_NUMBER] = {180, D, 0},
         [ROLE_COMMENT] = {244, D, CELL_DIM},
         [ROLE_NAME] = {80, D, 0},
     }},
    {"light",
     true,  {
         [ROLE_TEXT] = {D, D, 0},
         [ROLE_DIM] = {243, D, CELL_DIM},
         [ROLE_STRONG] = {D, D, CELL_BOLD},
         [ROLE_BAR] = {235, 253, CELL_REVERSE},
         [ROLE_BAR_STRONG] = {231, 25, CELL_REVERSE | CELL_BOLD},
         [ROLE_TITLE] = {243, D, CELL_DIM},
         [ROLE_TITLE_FOCUS] = {25, D, CELL_BOLD},
         [ROLE_SELECT] = {130, D, CELL_BOLD},
         [ROLE_CURSOR_LINE] = {D, 254, CELL_REVERSE},
         [ROLE_BOX] = {235, 254, 0},
         [ROLE_BOX_STRONG] = {231, 25, CELL_REVERSE},
         [ROLE_ERROR] = {160, D, CELL_BOLD},
         [ROLE_WARN] = {130, D, 0},
         [ROLE_GOOD] = {28, D, 0},
         [ROLE_MATCH] = {16, 222, CELL_REVERSE},
         [ROLE_REGION] = {D, 153, CELL_REVERSE},
         [ROLE_KEYWORD] = {25, D, CELL_BOLD},
         [ROLE_STRING] = {28, D, 0},
         [ROLE_NUMBER] = {130, D, 0},
         [ROLE_COMMENT] = {243, D, CELL_DIM},
         [ROLE_NAME] = {30, D, 0},
     } },
    {"mono",
     false, {
         [ROLE_TEXT] = {D, D, 0},
         [ROLE_DIM] = {D, D, CELL_DIM},
         [ROLE_STRONG] = {D, D, CELL_BOLD},
         [ROLE_BAR] = {D, D, CELL_REVERSE},
         [ROLE_BAR_STRONG] = {D, D, CELL_REVERSE | CELL_BOLD},
         [ROLE_TITLE] = {D, D, CELL_DIM},
         [ROLE_TITLE_FOCUS] = {D, D, CELL_BOLD},
         [ROLE_SELECT] = {D, D, CELL_BOLD},
         [ROLE_CURSOR_LINE] = {D, D, CELL_REVERSE},
         [ROLE_BOX] = {D, D, 0},
         [ROLE_BOX_STRONG] = {D, D, CELL_REVERSE},
         [ROLE_ERROR] = {D, D, CELL_BOLD},
         [ROLE_WARN] = {D, D, 0},
         [ROLE_GOOD] = {D, D, 0},
         [ROLE_MATCH] = {D, D, CELL_REVERSE},
         [ROLE_REGION] = {D, D, CELL_REVERSE},
         [ROLE_KEYWORD] = {D, D, CELL_BOLD},
         [ROLE_STRING] = {D, D, 0},
         [ROLE_NUMBER] = {D, D, 0},
         [ROLE_COMMENT] = {D, D, CELL_DIM},
         [ROLE_NAME] = {D, D, 0},
     }},
    {"high-contrast",
     false, {
         [ROLE_TEXT] = {231, 16, 0},
         [ROLE_DIM] = {253, 16, 0},
         [ROLE_STRONG] = {231, 16, CELL_BOLD},
         [ROLE_BAR] = {16, 231, 0},
         [ROLE_BAR_STRONG] = {16, 226, CELL_BOLD},
         [ROLE_TITLE] = {253, 16, 0},
         [ROLE_TITLE_FOCUS] = {226, 16, CELL_BOLD},
         [ROLE_SELECT] = {226, 16, CELL_BOLD},
         [ROLE_CURSOR_LINE] = {16, 231, 0},
         [ROLE_BOX] = {231, 18, 0},
         [ROLE_BOX_STRONG] = {16, 226, CELL_BOLD},
         [ROLE_ERROR] = {16, 210, CELL_BOLD},
         [ROLE_WARN] = {226, 16, CELL_BOLD},
         [ROLE_GOOD] = {120, 16, CELL_BOLD},
         [ROLE_MATCH] = {16, 226, 0},
         [ROLE_REGION] = {16, 123, 0},
         [ROLE_KEYWORD] = {123, 16, CELL_BOLD},
         [ROLE_STRING] = {120, 16, 0},
         [ROLE_NUMBER] = {222, 16, 0},
         [ROLE_COMMENT] = {253, 16, 0},
         [ROLE_NAME] = {213, 16, 0},
     }},
};
const int n_themes = (int)ARRAY_LEN(themes);

const Theme *theme_find(const char *name)
{
    for (int i = 0; i < n_themes; i++) {
        if (strcmp(themes[i].name, name) == 0)
            return &themes[i];
    }
    return NULL;
}
