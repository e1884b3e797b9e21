/* key.c -- names to numbers and back, by one table. */
#include "ui/key.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *shown;
    Key key;
} names[] = {
    {"Enter",     "Enter",     K_ENTER    },
    {"Esc",       "Esc",       K_ESC      },
    {"Tab",       "Tab",       K_TAB      },
    {"Backspace", "Backspace", K_BACKSPACE},
    {"Delete",    "Delete",    K_DELETE   },
    {"Insert",    "Insert",    K_INSERT   },
    {"Up",        "Up",        K_UP       },
    {"Down",      "Down",      K_DOWN     },
    {"Left",      "Left",      K_LEFT     },
    {"Right",     "Right",     K_RIGHT    },
    {"Home",      "Home",      K_HOME     },
    {"End",       "End",       K_END      },
    {"PgUp",      "PgUp",      K_PGUP     },
    {"PgDn",      "PgDn",      K_PGDN     },
    {"Space",     "Space",     ' '        },
    {"lt",        "<",         '<'        },
    {"gt",        ">",         '>'        },
};

static bool parse_named(const char *s, size_t n, Key *k)
{
    Key mods = 0;
    while (n > 2 && s[1] == '-') {
        if (s[0] != 'C' && s[0] != 'A' && s[0] != 'S')
            return false;
        mods |= s[0] == 'C' ? K_CTRL : s[0] == 'A' ? K_ALT : K_SHIFT;
        s += 2;
        n -= 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strlen(names[i].name) == n && memcmp(names[i].name, s, n) == 0) {
            *k = names[i].key | mods;
            return true;
        }
    }
    int f = n >= 2 && n <= 3 && s[0] == 'F' ? atoi(s + 1) : 0;
    if (f >= 1 && f <= 12) {
        *k = (K_F1 + (Key)f - 1) | mods;
        return true;
    }
    if (n < 1 || mods == 0)
        return false;
    uint32_t rune;
    if ((size_t)utf8_next(s, n, &rune) != n)
        return false;
    *k = rune | mods;
    return true;
}

bool key_parse(const char **s, Key *k)
{
    const char *p = *s;
    if (!*p)
        return false;
    if (*p == '<') {
        const char *end = strchr(p, '>');
        if (!end || !parse_named(p + 1, (size_t)(end - p - 1), k))
            return false;
        *s = end + 1;
        return true;
    }
    uint32_t rune;
    *s += utf8_next(p, strlen(p), &rune);
    *k = rune;
    return true;
}

void key_show(Key k, Str *out)
{
    Key bare = k & (K_CTRL - 1);
    if (k & K_CTRL)
        str_add(out, "Ctrl-");
    if (k & K_ALT)
        str_add(out, "Alt-");
    if (k & K_SHIFT)
        str_add(out, "Shift-");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].key == bare) {
            str_add(out, names[i].shown);
            return;
        }
    }
    if (bare >= K_F1 && bare <= K_F12)
        str_addf(out, "F%d", (int)(bare - K_F1 + 1));
    else if ((k & K_CTRL) && bare >= 'a' && bare <= 'z')
        str_addc(out, (char)(bare - 'a' + 'A'));
    else
        str_add_rune(out, bare);
}

void key_show_all(const char *text, Str *out)
{
    Key k;
    bool special = false;
    while (*text) {
        if (*text == ' ') {
            str_addc(out, ' ');
            text++;
            special = false;
            continue;
        }
        if (special)
            str_addc(out, ' ');
        special = *text == '<';
        if (!key_parse(&text, &k))
            return;
        key_show(k, out);
    }
}

bool key_is_text(Key k)
{
    return k >= ' ' && k < K_FIRST && k != 0x7F;
}
