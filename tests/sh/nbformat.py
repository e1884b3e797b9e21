"""Checks a Jupyter notebook against the rules of nbformat 4.5, as its schema has them: which
members there must be and which there may be, their types, patterns and ranges. problems(nb) lists
what is wrong."""
import re

TEXT = "text"  # a string or a list of strings


def is_text(v):
    return isinstance(v, str) or (isinstance(v, list) and all(isinstance(s, str) for s in v))


def is_count(v):
    return v is None or (isinstance(v, int) and not isinstance(v, bool) and v >= 0)


def is_bundle(v):
    return isinstance(v, dict) and all(
        isinstance(k, str) and (re.match(r"^(application/json|.*\+json)$", k) or is_text(x))
        for k, x in v.items())


def is_attachments(v):
    return isinstance(v, dict) and all(is_bundle(x) for x in v.values())


def is_object(v):
    return isinstance(v, dict)


def is_string(v):
    return isinstance(v, str)


def is_strings(v):
    return isinstance(v, list) and all(isinstance(s, str) for s in v)


# member -> what it must be; those behind the bar may be left out
OUTPUTS = {
    "stream": ({"output_type": is_string, "name": is_string, "text": is_text}, {}),
    "display_data": ({"output_type": is_string, "data": is_bundle, "metadata": is_object}, {}),
    "execute_result": ({"output_type": is_string, "execution_count": is_count, "data": is_bundle,
                        "metadata": is_object}, {}),
    "error": ({"output_type": is_string, "ename": is_string, "evalue": is_string,
               "traceback": is_strings}, {}),
}
ANY_CELL = {"id": is_string, "cell_type": is_string, "metadata": is_object, "source": is_text}
CELLS = {
    "markdown": (ANY_CELL, {"attachments": is_attachments}),
    "raw": (ANY_CELL, {"attachments": is_attachments}),
    "code": ({**ANY_CELL, "outputs": lambda v: isinstance(v, list), "execution_count": is_count},
             {}),
}


def members(o, where, rules, found):
    must, may = rules
    if not isinstance(o, dict):
        found.append(f"{where} is no object")
        return
    for name, check in must.items():
        if name not in o:
            found.append(f"{where} has no {name}")
        elif not check(o[name]):
            found.append(f"{where}: {name} is {o[name]!r}"[:200])
    for name in o:
        if name in may and not may[name](o[name]):
            found.append(f"{where}: {name} is {o[name]!r}"[:200])
        if name not in may and name not in must:
            found.append(f"{where} may not have {name}")


def of_kind(o, where, key, kinds, found):
    kind = o.get(key) if isinstance(o, dict) else None
    if kind not in kinds:
        found.append(f"{where}: {key} is {kind!r}")
        return
    members(o, where, kinds[kind], found)


def cell_metadata(m, where, found):
    if "name" in m and not (isinstance(m["name"], str) and m["name"]):
        found.append(f"{where}: a name is no text")
    tags = m.get("tags", [])
    if not is_strings(tags) or len(set(tags)) != len(tags) or any("," in t for t in tags):
        found.append(f"{where}: tags are {tags!r}")


def problems(nb):
    found, ids = [], []
    members(nb, "the notebook", ({"metadata": is_object, "nbformat": lambda v: v == 4,
                                  "nbformat_minor": lambda v: isinstance(v, int) and v >= 5,
                                  "cells": lambda v: isinstance(v, list)}, {}), found)
    if found:
        return found
    meta = nb["metadata"]
    for part, names in (("kernelspec", ("name", "display_name")), ("language_info", ("name",))):
        for name in names if part in meta else ():
            if not isinstance(meta[part].get(name), str):
                found.append(f"{part} has no {name}")
    for i, c in enumerate(nb["cells"]):
        where = f"cell {i + 1}"
        of_kind(c, where, "cell_type", CELLS, found)
        ids.append(c.get("id"))
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", str(c.get("id", ""))):
            found.append(f"{where}: the id is {c.get('id')!r}")
        cell_metadata(c.get("metadata", {}), where, found)
        for k, o in enumerate(c.get("outputs", [])):
            of_kind(o, f"{where}, output {k + 1}", "output_type", OUTPUTS, found)
    if len(set(ids)) != len(ids):
        found.append("two cells have one id")
    return found
