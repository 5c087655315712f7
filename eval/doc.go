// Package eval judges a chat model on the items of the small world, whose every
// answer is known: a reply is right or wrong by rule, never by taste.
//
//	items -> Run (greedy, many at once, answers kept on disk) -> Grade -> Report
//	Report -> Check against bars | Compare with another, item by item | Markdown, Curve, Card
//
// It sees models only as chat.Model: weights, tokenizers and engines are not
// its business, nor is how the items were made. Every share comes with its 95 %
// interval, and an error of the model is counted as one, not as a wrong answer.
package eval
