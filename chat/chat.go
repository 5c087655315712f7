// Package chat is the vocabulary that everything above the engine speaks:
// messages in, a stream of deltas and a usage count out. It knows no engine,
// tokenizer or wire format.
package chat

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Role says who wrote a message.
type Role string

// The roles of the chat protocols.
const (
	System     Role = "system"
	User       Role = "user"
	Assistant  Role = "assistant"
	ToolResult Role = "tool" // what a tool call came to
)

// Message is one turn. Its JSON is that of the OpenAI protocol, which data sets
// of conversations share.
type Message struct {
	Role       Role       `json:"role"`
	Content    string     `json:"content"`
	Reasoning  string     `json:"reasoning_content,omitempty"` // of an assistant, in front of its content; templates without a form for it leave it out
	Name       string     `json:"name,omitempty"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`   // of an assistant, behind its content
	ToolCallID string     `json:"tool_call_id,omitempty"` // of a tool's result: the call it answers
}

// Sampling is how the next token is chosen. The zero value of a pointer field
// means the default given at its end; the zero value of others is off.
type Sampling struct {
	Temperature       *float64          // 1; 0 is greedy
	TopP              *float64          // 1
	TopK              int               // off
	MinP              float64           // off
	RepetitionPenalty float64           // 1 when zero
	PresencePenalty   float64           // off
	FrequencyPenalty  float64           // off
	Seed              *uint64           // random
	LogitBias         map[int32]float64 // none
}

// Request is one generation. At most one of Messages, Prompt and PromptIDs is
// set: a chat, raw text, or token ids. None is the empty text.
type Request struct {
	Messages  []Message
	Prompt    string
	PromptIDs []int32
	Tools     []Tool // what the model may call; only with Messages; none
	// TemplateArgs are variables for the chat template, such as
	// enable_thinking; only with Messages; none.
	TemplateArgs map[string]json.RawMessage
	Continue     bool // go on with the last message, an assistant's, instead of answering it; off

	Sampling  Sampling
	MaxTokens int      // up to the context when zero; negative: none, for an echo alone
	Stop      []string // strings that end the text; not part of it
	StopIDs   []int32  // token ids that end the text, beside the model's own; none
	IgnoreEOS bool     // go on past the model's own end marks, as benchmarks want; off
	Logprobs  int      // alternatives per token; -1: none, 0: the chosen one only
	DraftMax  int      // tokens guessed at a time (speculation), at most; the engine's own when zero; negative: none
	User      string   // who asks: the queue is fair between users
	CacheSalt string   // prompts share their cached beginnings only with those of the same salt
	Adapter   string   // name of the adapter that changes the model for this request; none
	Echo      bool     // not for Messages: send the prompt back first, with logprobs if asked
	Beam      *Beam    // search for the likeliest answers instead of drawing one; none
	Trace     bool     // the last delta says all that decided the answer; off
}

// Beam asks for the likeliest answers, by beam search, instead of drawn ones:
// Sampling does not count. They come at the end.
type Beam struct {
	Width         int     // texts followed at a time
	Best          int     // answers, at most Width, each with its Delta.Choice, the best first
	LengthPenalty float64 // answers compare by log-probability / tokens^LengthPenalty
	EarlyStopping bool    // end when Width answers have, even if one under way could still be better
}

// FinishReason says why a generation ended.
type FinishReason string

// The reasons of the OpenAI protocol.
const (
	FinishStop      FinishReason = "stop"
	FinishLength    FinishReason = "length"
	FinishToolCalls FinishReason = "tool_calls" // stopped by itself, and made at least one call
)

// TokenLogprob is one token with its log-probability and alternatives. Before
// sampling changes (temperature, penalties), natural log.
type TokenLogprob struct {
	ID      int32
	Text    string // may be a part of a character; Bytes is exact
	Bytes   []byte
	Logprob float64 // NaN for the first token of an echo
	Top     []TokenLogprob
}

// Delta is one piece of an answer. Text and Reasoning are always valid UTF-8;
// pieces of a character wait for the rest. Tool calls come whole, in the order
// made, and behind the text. The last delta has Finish and Usage.
type Delta struct {
	Text      string
	Reasoning string         // what the model thinks before it answers; not part of Text
	Logprobs  []TokenLogprob // of text; tokens of reasoning and of tool calls have none
	ToolCalls []ToolCall
	Finish    FinishReason
	Usage     *Usage
	Choice    int       // the answer that it belongs to (Beam)
	Times     *Times    // with Usage, where it is known
	Trace     *Trace    // with Usage, if the request asked for it
	Identity  *Identity // of the model, with Trace
}

// Times says where the time of one request went.
type Times struct {
	Queue   time.Duration // from its arrival until it was taken in
	Prefill time.Duration // from then until its first token
	Decode  time.Duration // from then until its last
}

// Usage counts tokens. A sampled end mark counts as a completion token although
// no text stands for it.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CachedTokens     int `json:"cached_tokens"` // of the prompt, found in the cache
	CompletionTokens int `json:"completion_tokens"`
	ReasoningTokens  int `json:"reasoning_tokens"` // of the completion, the marks around the reasoning included
}

// Model generates. Cancelling ctx frees everything the generation held. The
// error of an over-long prompt is a *ContextError, of a full queue ErrBusy.
type Model interface {
	Generate(ctx context.Context, r Request) iter.Seq2[Delta, error]
}
