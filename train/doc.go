// Package train is the loop that pretraining and fine-tuning share: batches
// in, smaller losses out, with metrics, held-out evaluations and checkpoints
// that survive a kill at any moment.
//
// A run is a folder that can be served at any time:
//
//	run/ config.json model.safetensors tokenizer.json (tokenizer_config.json after SFT)
//	     train/ state.json            the newest checkpoint's state: step, settings, lineage
//	            metrics.jsonl         one line per step and per evaluation
//	            curve.svg             losses, learning rate, gradient norm
//	            data/                 prepared shards
//	            checkpoints/step-N/   weights, moments, state, manifest with checksums
//
// The loop knows models only as model.Model and data only as a Source of
// batches. It knows nothing of text, tokenizers, templates or what a batch
// was made from.
package train
