/* graph_int.h -- what a Graph is made of; for graph.c, grad.c and the planner only.
 * Values and nodes live in growable arrays and are named by index. A node's inputs have
 * smaller ids than its outputs, so array order is an order of execution. A state is one
 * value whatever its version: a node records the version of each state that it reads
 * directly. */
#ifndef CLEAVE_GRAPH_GRAPH_INT_H
#define CLEAVE_GRAPH_GRAPH_INT_H
#include "base/mem.h"
#include "graph/graph.h"

typedef enum ValKind { VK_INPUT, VK_STATE, VK_CONST, VK_NODE } ValKind;

typedef struct GVal {
    Spec spec;
    ValKind kind;
    int index; /* of the input, state or constant; the producing node for VK_NODE */
} GVal;

typedef struct GNode {
    const OpRow *row;
    int n_in, n_out;
    Val in[OP_MAX_IN];
    int version[OP_MAX_IN]; /* of a state read directly; 0 otherwise */
    Val out[OP_MAX_OUT];
    OpAttr attr;
} GNode;

typedef struct GLeaf { /* an input (no tensor), a state or a constant */
    const char *name;
    Val val;
    Tensor t;
    int version;   /* states: how often a node has written it */
    double number; /* constants made by graph_number() */
    bool is_number;
} GLeaf;

typedef struct GName { /* an output or a site */
    const char *name;
    Val val;
    int pos; /* nodes recorded before it */
} GName;

typedef struct GLeaves {
    GLeaf *at;
    int n, cap;
} GLeaves;

typedef struct GNames {
    GName *at;
    int n, cap;
} GNames;

struct Graph {
    uint64_t id;
    Err err;
    bool failed;
    Arena *text;
    GVal *val;
    int n_val, cap_val;
    GNode *node;
    int n_node, cap_node;
    GLeaves inputs, states, consts;
    GNames outputs, sites;
    SiteHook *hook;
    void *hook_ctx;
};

#endif
