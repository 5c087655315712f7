// Package sample turns one row of logits into one token id.
//
// The stages, in order; each is skipped at its default:
//
//	logits -> penalties -> logit bias -> / temperature -> top-k -> top-p -> min-p -> draw
//
// Repetition penalty looks at prompt and output, presence and frequency
// penalty at the output alone. The order is Hugging Face's (processors, then
// temperature, top-k, top-p, min-p) with vLLM's and OpenAI's penalties. Two
// other habits exist: vLLM adds the bias before the penalties and cuts min-p
// before top-k and top-p; llama.cpp divides by the temperature last. Here the
// bias comes after the penalties, so that +-100 forces or bans a token whatever
// has been said; top-p measures the mass that top-k left over; min-p comes last, so
// it never changes what top-p measures.
//
// Temperature 0 takes the first largest logit (the lowest id on ties) and
// draws nothing. Otherwise exactly one number is drawn per token from the
// request's own generator: a request's tokens never depend on its neighbours.
//
// Log-probabilities are those of the model itself, before all stages, in
// natural logarithms (Logprobs). The package knows nothing of text, stop rules,
// batches or the cache; work is O(vocabulary) per token, without a full sort.
package sample
