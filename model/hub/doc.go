// Package hub finds models in the caches of this machine, and fetches them from
// the two registries that most models come from, Hugging Face and Ollama.
//
//	hf:org/name[:file|:quant][@revision]      ollama:[host/][namespace/]name[:tag]
//	       |                                          |
//	  list of a revision                          manifest           sizes and digests
//	       +--------------------+---------------------+
//	                          Plan                                  nothing written yet
//	                            |
//	  blobs/DIGEST.weft-part  ranges side by side, a journal of what is there
//	  blobs/DIGEST            checked, then renamed
//	  snapshots/COMMIT/FILE -> blobs/DIGEST      (Hugging Face)
//	  refs/REVISION, manifests/HOST/NAME/TAG     written last: a name never means half a model
//
// Both caches have the layout of the tools that invented them, so that what is
// fetched here is found there, and the other way round. Find uses no network.
//
// Answers of registries are hostile: their length is bounded, paths that leave
// the cache and digests that are none are errors, sizes are held against what
// arrives. A token goes to the registry it belongs to and nowhere else.
//
// The package knows names, bytes and where they lie. Of models it knows which
// files belong together; it reads no weights, no environment and no settings.
//
// Layouts: https://huggingface.co/docs/hub/local-cache and
// https://github.com/ollama/ollama/blob/main/docs/import.mdx; the manifest is
// that of Docker's registry, version 2.
package hub
