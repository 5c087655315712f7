// Package server puts chat models on HTTP in the shapes that existing clients
// speak: OpenAI's chat completions, completions and models, with streaming as
// server-sent events, plus /health, /metrics, a page, and what that page asks
// beside: /api/models (what is loaded) and /api/runs (training runs).
//
// A LoRA adapter of a model is asked for as if it were one, by its own name;
// /v1/load_lora_adapter and /v1/unload_lora_adapter bring and drop them.
//
//	request -> guard (id, log, panics, Host, Origin, key) -> decode -> chat.Request x n
//	                                                                      |
//	response <- encode (one JSON body, or "data: {...}" events) <- chat.Delta stream
//
// A request with the header X-Weft-Manifest: 1 gets a response with the field
// weft_manifest (in a stream, in the last chunk): all that decided its tokens, and
// the tokens; see chat.Manifest.
//
// It sees models only as chat.Model, adapters as Adapters, engines only as a Stats function, whether a
// model is in memory only as a Status function, and
// training only as Runs. It knows no tokenizer, template, cache page or weight,
// and reads no file of a run.
//
// Three rules for fields of a request:
//
//   - A field that OpenAI or vLLM defines and weft does not offer is refused
//     (400, code "unsupported_parameter") unless it holds its neutral value:
//     dropping it would change the answer without a word.
//   - A field nobody defines but one letter away from a known one is refused
//     too (code "unknown_parameter", with the name that was probably meant).
//   - Any other unknown field is accepted, since clients send vendor extras,
//     and named in the response header X-Weft-Ignored-Fields and in the log.
//
// Without a key the server answers only to loopback names in the Host header,
// so that a web page cannot reach it by rebinding its own name to 127.0.0.1;
// cross-origin writes are refused in any case. CheckListen keeps a server
// without a key off other interfaces.
package server
