/* completion.c -- shell functions written from the command table, so a new command or
 * option completes without a line here. Operands follow their description: one that
 * ends in .lua completes to Lua files, a|b to its words, "... | word ..." to the words
 * that may stand first, [case ...] to the benchmark cases, anything else to files. */
#include <stdio.h>
#include <string.h>

#include "ui/bench.h"
#include "ui/command.h"

/* Text for the inside of single quotes; brackets and colons, which zsh reads, get a
 * backslash there. */
static void quoted(Str *out, const char *text, bool zsh)
{
    for (; *text; text++) {
        if (*text == '\'')
            str_add(out, "'\\''");
        else if (zsh && strchr("[]:", *text))
            str_addf(out, "\\%c", *text);
        else
            str_addc(out, *text);
    }
}

static void choices(Str *out, const CommandRow *row)
{
    if (strcmp(row->operands, "[case ...]") == 0) {
        for (size_t i = 0; i < bench_n_cases; i++)
            str_addf(out, "%s%s", i ? " " : "", bench_cases[i].name);
    } else if (strchr(row->operands, '|') && !strchr(row->operands, ' ')) {
        for (const char *p = row->operands; *p; p++)
            str_addc(out, *p == '|' ? ' ' : *p);
    } else if (strstr(row->operands, " | ")) {
        int n = 0;
        for (const char *p = row->operands; (p = strstr(p, " | ")); p += 3)
            str_addf(out, "%s%.*s", n++ ? " " : "", (int)strcspn(p + 3, " "), p + 3);
    } else if (strcmp(row->name, "help") == 0) {
        for (size_t i = 0, n = 0; i < command_n_rows; i++)
            if (command_rows[i].doc)
                str_addf(out, "%s%s", n++ ? " " : "", command_rows[i].name);
    }
}

static void bash_command(Str *out, const CommandRow *row)
{
    str_addf(out, "    %s) options='--help", row->name);
    for (size_t i = 0; i < row->n_options; i++)
        str_addf(out, " --%s%s", row->options[i].name,
                 row->options[i].type == OPT_BOOL ? "" : "=");
    str_add(out, "' words='");
    choices(out, row);
    bool words_only = strchr(row->operands, '|') && !strchr(row->operands, ' ');
    str_addf(out, "' files='%s' ;;\n",
             strstr(row->operands, ".lua")     ? "lua"
             : words_only || !row->operands[0] ? "none"
                                               : "any");
}

static void bash(Str *out)
{
    str_add(out, "# bash completion for cleave; generated from its command table.\n"
                 "_cleave() {\n"
                 "  local cur=${COMP_WORDS[COMP_CWORD]} options words files commands\n"
                 "  commands='");
    for (size_t i = 0, n = 0; i < command_n_rows; i++)
        if (command_rows[i].doc)
            str_addf(out, "%s%s", n++ ? " " : "", command_rows[i].name);
    str_add(out, " --help --version'\n"
                 "  COMPREPLY=()\n"
                 "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
                 "    COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\"))\n"
                 "    return\n"
                 "  fi\n"
                 "  case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < command_n_rows; i++)
        if (command_rows[i].doc)
            bash_command(out, &command_rows[i]);
    str_add(out,
            "    *) return ;;\n"
            "  esac\n"
            "  case $cur in\n"
            "    -*)\n"
            "      COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
            "      case ${COMPREPLY[0]} in *=) compopt -o nospace ;; esac\n"
            "      return ;;\n"
            "  esac\n"
            "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
            "  local IFS=$'\\n'\n"
            "  case $files in\n"
            "    lua) compopt -o filenames\n"
            "      COMPREPLY+=($(compgen -f -X '!*.lua' -- \"$cur\") $(compgen -d -- "
            "\"$cur\")) ;;\n"
            "    any) [ \"${COMPREPLY[0]}\" ] || {\n"
            "      compopt -o filenames\n"
            "      COMPREPLY=($(compgen -f -- \"$cur\"))\n"
            "    } ;;\n"
            "  esac\n"
            "}\n"
            "complete -F _cleave cleave\n");
}

static void zsh_option(Str *out, const OptRow *o)
{
    bool flag = o->type == OPT_BOOL;
    str_addf(out, "        '--%s%s[", o->name, flag ? "" : "=");
    quoted(out, o->doc, true);
    str_addf(out, "]%s%s%s' \\\n", flag ? "" : ":", flag ? "" : o->name,
             flag ? ""
             : strcmp(o->name, "runs") == 0 || strcmp(o->name, "output") == 0
                 ? ":_files"
                 : ":");
}

static void zsh_command(Str *out, const CommandRow *row)
{
    Str words;
    str_init(&words);
    choices(&words, row);
    str_addf(out, "    (%s)\n      _arguments -S '--help[what the command does]' \\\n",
             row->name);
    for (size_t i = 0; i < row->n_options; i++)
        zsh_option(out, &row->options[i]);
    if (strstr(row->operands, ".lua"))
        str_add(out, "        '*:script:_files -g \"*.lua\"'\n");
    else if (words.len)
        str_addf(out, "        '*:name:(%s)'\n", words.s);
    else
        str_addf(out, "        '*:%s'\n", row->operands[0] ? "file:_files" : ": ");
    str_add(out, "      ;;\n");
    str_done(&words);
}

static void zsh(Str *out)
{
    str_add(out, "#compdef cleave\n"
                 "# zsh completion for cleave; generated from its command table.\n"
                 "_cleave() {\n"
                 "  local -a commands=(\n");
    for (size_t i = 0; i < command_n_rows; i++) {
        if (!command_rows[i].doc)
            continue;
        str_addf(out, "    '%s:", command_rows[i].name);
        quoted(out, command_rows[i].doc, false);
        str_add(out, "'\n");
    }
    str_add(out, "  )\n"
                 "  if (( CURRENT == 2 )); then\n"
                 "    _describe command commands\n"
                 "    return\n"
                 "  fi\n"
                 "  local command=$words[2]\n"
                 "  shift words\n"
                 "  (( CURRENT-- ))\n"
                 "  case $command in\n");
    for (size_t i = 0; i < command_n_rows; i++)
        if (command_rows[i].doc)
            zsh_command(out, &command_rows[i]);
    str_add(out, "  esac\n"
                 "}\n"
                 "_cleave \"$@\"\n");
}

Exit command_completion(const Operands *ops, const void *config)
{
    (void)config;
    Str out;
    str_init(&out);
    Exit code = EXIT_OK;
    if (strcmp(ops->item[0], "bash") == 0)
        bash(&out);
    else if (strcmp(ops->item[0], "zsh") == 0)
        zsh(&out);
    else
        code = command_fail(
            EXIT_USAGE, "no completion for '%s'; there are bash and zsh", ops->item[0]);
    if (code == EXIT_OK && (out.oom || fputs(out.s, stdout) < 0 || fflush(stdout) != 0))
        code = command_fail(EXIT_BROKEN, "cannot write to the standard output");
    str_done(&out);
    return code;
}
