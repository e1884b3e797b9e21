/* sae_files.h -- autoencoders in the folders that other programs write and load:
 *   "saelens"              cfg.json, sae_weights.safetensors
 *   "dictionary_learning"  config.json, ae.pt
 * Their models have no scale of the data, so ours is folded into weights and biases;
 * outputs stay what they were to rounding. What cannot be said in a layout is refused
 * with a sentence. */
#ifndef CLEAVE_LAB_SAE_FILES_H
#define CLEAVE_LAB_SAE_FILES_H
#include "decomp/sae.h"

/* layout NULL: "saelens". The folder is made when it is not there. */
bool sae_export(Sae *s, const char *folder, const char *layout, Err *err);
/* The layout is known by its files. What is loaded has no examples: it is used,
 * measured and calibrated, not trained. */
Sae *sae_import(const char *folder, Err *err);
#endif
