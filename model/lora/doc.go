// Package lora reads, writes and merges LoRA adapters (Hu 2021) in the layout
// of PEFT: a folder with adapter_config.json and adapter_model.safetensors.
//
//	base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight  [r, in]
//	base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight  [out, r]
//	                 \_____ name of the model's matrix _____/
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
// Layout: https://huggingface.co/docs/peft/developer_guides/checkpoint.
package lora
