/* graph.h -- recording ops on symbolic values, and backward as more nodes.
 * A Graph owns its nodes; states and constants hold references to their tensors. Nodes
 * run in the order of recording; node inputs have smaller ids. Failure is sticky: the
 * first error is kept, later calls return VAL_NONE at once, and the builder checks
 * graph_ok() once. Threads: one graph, one thread. */
#ifndef CLEAVE_GRAPH_GRAPH_H
#define CLEAVE_GRAPH_GRAPH_H
#include "graph/op.h"

Graph *graph_new(Err *err);
void graph_free(Graph *g); /* NULL is fine; plans made from it stay valid */
/* Never given twice: tells a graph from an older one at the same address. */
uint64_t graph_id(const Graph *g);
bool graph_ok(const Graph *g);
const Err *graph_err(const Graph *g);
/* Records a failure found by a builder (kept if it is the first); returns VAL_NONE. */
Val graph_fail(Graph *g, ErrCode code, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* Leaves. An input is bound anew at each run, by position or name. A state is memory
 * that lives across runs (parameters, moments, averages): nodes read and assign the
 * tensor itself. Adding the same memory as a state twice gives the same value. */
Val graph_input(Graph *g, const char *name, DType t, int ndim, const int64_t *dim);
Val graph_find_input(const Graph *g, const char *name); /* VAL_NONE: none */
Val graph_state(Graph *g, const char *name, const Tensor *t);
Val graph_find_state(const Graph *g, const char *name); /* VAL_NONE: none */
Val graph_const(Graph *g, const Tensor *t);
Val graph_number(Graph *g, DType t, double v); /* scalar constant */

/* Applies an op. The second form gives all outputs. a may be NULL (defaults). */
Val graph_op(Graph *g, const OpRow *row, const Val *in, int n_in, const OpAttr *a);
bool graph_op_multi(Graph *g, const OpRow *row, const Val *in, int n_in,
                    const OpAttr *a, Val *out);
/* state := value at this point of the order; later reads see the new value. */
void graph_assign(Graph *g, Val state, Val value);

Spec graph_spec(const Graph *g, Val v);
bool graph_is_state(const Graph *g, Val v);

/* Appends backward nodes: dwrt[i] = d loss / d wrt[i], zeros where loss does not depend
 * on it. loss must be a scalar float. May be called several times. An error if a node on
 * the way read a state that was assigned since. */
bool graph_grad(Graph *g, Val loss, const Val *wrt, int n, Val *dwrt);

/* Named outputs of a run, in the order added. */
void graph_output(Graph *g, const char *name, Val v);

/* Sites: a builder names a value; the hook may replace it. All captured sites are
 * listed. */
typedef Val SiteHook(Graph *g, const char *site, Val v, void *ctx);
void graph_set_hook(Graph *g, SiteHook *hook, void *ctx);
Val graph_site(Graph *g, const char *site, Val v); /* v, or what the hook made of it */
int graph_site_count(const Graph *g);
const char *graph_site_name(const Graph *g, int i);
Val graph_site_value(const Graph *g, int i); /* before the hook */
#endif
