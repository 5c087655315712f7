// Package lora reads, writes and merges LoRA adapters (Hu 2021) in the layout
// of PEFT: a folder with adapter_config.json and adapter_model.safetensors. It
// reads the GGUF files of adapters that llama.cpp makes of these too.
//
//	base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight  [r, in]
//	base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight  [out, r]
//	                 \_____ name of the model's matrix _____/
//
//	blk.0.attn_q.weight.lora_a, .lora_b: the same in a GGUF, with the rows of B in
//	the order of that file's matrices, and the scale adapter.lora.alpha / r
//
//	y = W x + scale * B (A x)    scale = lora_alpha / r, or lora_alpha / sqrt(r) (use_rslora)
//
// An adapter belongs to one model: Open finds each pair's matrix by its name and
// checks it against its shape, whatever form the matrix is held in. What a folder asks for
// and is not done here (DoRA, trained biases, whole layers in the file) is an
// error, never passed over; so is a key that nobody knows.
//
// Folders come from strangers: lengths are checked before anything is read, and
// memory is bounded by the model's own shapes. The package knows matrices and
// their names; who goes through an adapter, and when, is said in op.Span.
// Layouts: https://huggingface.co/docs/peft/developer_guides/checkpoint, and
// convert_lora_to_gguf.py and src/llama-adapter.cpp of llama.cpp.
package lora
